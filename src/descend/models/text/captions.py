"""A caption as a point: what stands for its words, as an encoder that stays as it is reads them, through a map."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from descend.models.mlp import MLP
from descend.models.text.encoders import MeanOfTokens, Summary
from descend.models.transfer import Frozen
from descend.nn import GELU, LayerNorm


class CaptionEncoder(nn.Module):
    """[batch, time] to [batch, out]. Takes ``words`` [batch, time, text_width] that were read already, so that what
    never changes is read once, or ``tokens`` [batch, time], which it then reads itself.

    >>> CaptionEncoder(384, 128, 256, encoder=huggingface.network(minilm()))

    Args:
        text_width: of the encoder's words.
        out: numbers that come out.
        hidden: of the map's hidden layer.
        encoder: from ``tokens`` and ``kept`` to words, as `BERT`; None where words are always given. It stays as it is.
        summary: what of the words stands for the caption: `MeanOfTokens`, `FirstToken`, `MostOfTokens`.
        dropout: of the hidden layer.
    """

    def __init__(
        self,
        text_width: int,
        out: int,
        hidden: int = 256,
        encoder: nn.Module | None = None,
        summary: Summary = MeanOfTokens(),
        dropout: float = 0.0,
    ):
        super().__init__()
        self.text_width = text_width
        self.out = out
        self.hidden = hidden
        vars(self)["encoder"] = encoder
        self.summary = summary
        self.dropout = dropout
        self.reader = None if encoder is None else Frozen(encoder)
        # A mean over words is far shorter than one of them. The map initialises itself.
        self.normalise = LayerNorm()(text_width)
        self.map = MLP(text_width, hidden, out=out, activation=GELU(), dropout=dropout)

    def forward(
        self,
        words: Float[Tensor, "batch time text_width"] | None = None,
        kept: Bool[Tensor, "batch time"] | None = None,
        tokens: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch out"]:
        given = {"words": words, "kept": kept, "tokens": tokens}
        read = read_words(self.reader, {name: tensor for name, tensor in given.items() if tensor is not None})
        return self.map(self.normalise(self.summary(read["words"], read["kept"])))


def read_words(reader: nn.Module | None, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``words`` and which are ``kept``: as given, or read from ``tokens``, without gradients.

    Raises:
        ValueError: neither words nor tokens are given, or tokens where nothing reads them.
    """
    if "kept" in given and "words" in given:
        return {"words": given["words"], "kept": given["kept"]}
    if "kept" not in given or "tokens" not in given or reader is None:
        what = "words" if reader is None else "words or tokens"
        raise ValueError(
            f"of a caption {', '.join(given) or 'nothing'} was given: give {what}, and which of them are kept"
            + ("; tokens are read where there is an encoder: encoder=…" if reader is None else "")
        )
    with torch.no_grad():
        return {"words": reader(given["tokens"], given["kept"]), "kept": given["kept"]}

"""An encoder: each token is read with all around it (BERT; Devlin et al. 2019)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.models.text.encoders import Kept
from descend.models.text.head import Tied
from descend.nn import GELU, Attention, FeedForward, LayerNorm, Norm, PostNorm, TransformerBlock


class BERT(nn.Module):
    """[batch, time] to [batch, time, width]. Padding is never asked, and stands on either side: places are counted from
    a text's own first token.

    >>> BERT(30522, 384, 12, 6)                 # MiniLM-L6

    Args:
        vocabulary: how many tokens there are.
        width: of a token.
        heads: of each attention.
        layers: blocks.
        length: the most tokens a text may have.
        hidden: of the network for each token; four times the width if None.
        segments: parts of a text that are told apart, as question and passage.
        activation: of the network for each token.
        norm: of embeddings and blocks.
        dropout: of the embeddings, of what each branch adds, and of the weights of attention.
        spread: of the words' numbers at first.

    Raises:
        ValueError: a text is longer.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        length: int = 512,
        hidden: int | None = None,
        segments: int = 2,
        activation: nn.Module = GELU(),
        norm: Norm = LayerNorm(1e-12),
        dropout: float = 0.1,
        spread: float = 0.02,
    ):
        super().__init__()
        self.vocabulary = vocabulary
        self.width = width
        self.heads = heads
        self.layers = layers
        self.length = length
        self.hidden = hidden
        self.segments = segments
        vars(self)["activation"] = activation
        self.norm = norm
        self.dropout = dropout
        self.spread = spread
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(length, width)
        self.kinds = nn.Embedding(segments, width)
        self.normalise = norm(width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                Attention(width, heads, dropout=dropout),
                FeedForward(width, hidden or 4 * width, activation),
                order=PostNorm(norm),
                dropout=dropout,
            )
            for _ in range(layers)
        )
        # Small normal weights, as in the paper (appendix A.2); cut, as its code does. Where texts are few, words that
        # differ by more than places do (a greater spread) are learned sooner.
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                std = spread if module is self.words else 0.02
                nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
                if isinstance(module, nn.Linear):
                    nn.init.zeros_(module.bias)

    def forward(
        self, tokens: Int[Tensor, "batch time"], kept: Kept = None, segments: Int[Tensor, "batch time"] | None = None
    ) -> Float[Tensor, "batch time width"]:
        if tokens.shape[1] > self.length:
            raise ValueError(
                f"BERT: {tokens.shape[1]} tokens, but places were learned for {self.length}: cut the text, or build "
                "the network with a greater length"
            )
        if kept is None:
            places = torch.arange(tokens.shape[1], device=tokens.device)
        else:
            places = (kept.cumsum(1) - 1).clamp(min=0)
        kinds = self.kinds.weight[0] if segments is None else self.kinds(segments)
        x = self.drop(self.normalise(self.words(tokens) + self.places(places) + kinds))
        for block in self.blocks:
            x = block(x, mask=None if kept is None else kept[:, None, None])
        return x


class MaskedBERT(nn.Module):
    """BERT and what guesses the words that were hidden from it (section 3.1, task 1).

    Args: body: a `BERT`, whose embedding is also the head's.
    """

    def __init__(self, body: BERT):
        super().__init__()
        self.body = body
        self.transform = nn.Sequential(nn.Linear(body.width, body.width), GELU(), body.norm(body.width))
        self.logits = Tied(bias=True)(body.words)
        nn.init.trunc_normal_(self.transform[0].weight, std=0.02, a=-0.04, b=0.04)  # type: ignore[arg-type]
        nn.init.zeros_(self.transform[0].bias)  # type: ignore[arg-type]

    def states(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch time width"]:
        return self.transform(self.body(tokens, kept))

    def forward(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch time vocabulary"]:
        return self.logits(self.states(tokens, kept))

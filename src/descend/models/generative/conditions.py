"""What a network that makes pictures is told besides the noisy picture: how noisy it is, and what it is to show.

A condition becomes a vector, which shifts and scales whole maps, and for captions also a row of words, which places ask
by attention. A share of the pictures is learned without it, so that one network knows both, and can be led away from
what it would make unasked (Ho and Salimans 2022, "Classifier-free diffusion guidance").
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from descend.models.text.captions import read_words
from descend.models.transfer import Frozen
from descend.nn import SiLU
from descend.nn.positions import sinusoid

Words = Float[Tensor, "batch words context_width"]
Kept = Bool[Tensor, "batch words"]


class Asked(NamedTuple):
    """A condition as networks take it: ``vector`` [batch, width]; of captions also ``words`` and which are ``kept``."""

    vector: Tensor
    words: Tensor | None = None
    kept: Tensor | None = None


class TimeEmbedding(nn.Module):
    """Sines of how much noise there is, 0 … 1, through two maps (Ho et al. 2020, appendix B).

    Args: width: even.
    """

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.maps = nn.Sequential(nn.Linear(width, width), SiLU(), nn.Linear(width, width))

    def forward(self, time: Float[Tensor, "batch"]) -> Float[Tensor, "batch width"]:
        # The sines were made for places that are counted in whole numbers, some thousand of them.
        return self.maps(sinusoid(1000 * time.float(), self.width).to(time.dtype))


class Condition(nn.Module):
    """Base. Gives `Asked` for the tensors of a batch.

    Attributes:
        names: of the tensors that it reads.
        context_width: of its words; None where it has none.
        classes: how many it knows, by ``target``; None where it knows none.
    """

    names: tuple[str, ...]
    context_width: int | None = None
    classes: int | None = None

    @abstractmethod
    def forward(self, given: Mapping[str, Tensor], told: Bool[Tensor, "batch"]) -> Asked:
        """Args:
        given: a batch's tensors.
        told: of which pictures it is told; of the others it says nothing.
        """

    def taken(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What `forward` needs of them, so far as it can be made once for all steps."""
        return {name: given[name] for name in self.names}

    @abstractmethod
    def nothing(self, count: int) -> Asked:
        """What so many pictures are told that are asked for nothing."""

    def check(self, given: Mapping[str, Tensor], count: int) -> None:
        """Raises: ValueError: these are not what it reads, for so many pictures."""
        check_given(given, self.names, count)


class ClassCondition(Condition):
    """A vector for each class, and one for none: by ``target`` [batch].

    Args:
        classes: how many.
        width: of the vector.
    """

    names = ("target",)
    classes: int

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.classes = classes  # pyright: ignore[reportIncompatibleVariableOverride]
        self.width = width
        self.vectors = nn.Embedding(classes + 1, width)
        # As small as the time's vector, to which it is added.
        nn.init.normal_(self.vectors.weight, std=0.1)

    def check(self, given: Mapping[str, Tensor], count: int) -> None:
        super().check(given, count)
        if not bool(((given["target"] >= 0) & (given["target"] < self.classes)).all()):
            raise ValueError(
                f"classes {given['target'].tolist()[:5]} … were asked for: there are 0 … {self.classes - 1}"
            )

    def forward(self, given: Mapping[str, Tensor], told: Bool[Tensor, "batch"]) -> Asked:
        return Asked(self.vectors(given["target"].where(told, self.classes)))

    def nothing(self, count: int) -> Asked:
        return Asked(self.vectors.weight[-1].expand(count, -1))


class CaptionCondition(Condition):
    """The words of a caption, as an encoder that stays as it is reads them; their mean is the vector.

    It takes ``words`` [batch, words, text_width] that were read already, or ``tokens`` [batch, words], which it then
    reads itself, and which of them are ``kept`` [batch, words].

    >>> CaptionCondition(384, network.width, huggingface.network(minilm()))

    Args:
        text_width: of the encoder's words.
        width: of the vector, and of the words that are asked.
        encoder: from ``tokens`` and ``kept`` to words, as `BERT`; None where words are always given. It stays as it is.
    """

    names = ("words", "kept")

    def __init__(self, text_width: int, width: int, encoder: nn.Module | None = None):
        super().__init__()
        self.text_width = text_width
        self.width = width
        vars(self)["encoder"] = encoder
        self.context_width = width
        self.reader = None if encoder is None else Frozen(encoder)
        self.word = nn.Linear(text_width, width)
        self.whole = nn.Linear(text_width, width)
        self.silence = nn.Parameter(torch.empty(text_width))
        nn.init.normal_(self.silence, std=0.02)

    def check(self, given: Mapping[str, Tensor], count: int) -> None:
        tokens = "words" not in given and self.reader is not None
        wanted = ("tokens", "kept") if tokens else self.names
        check_given(given, wanted, count)

    def taken(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return read_words(self.reader, given)

    def forward(self, given: Mapping[str, Tensor], told: Bool[Tensor, "batch"]) -> Asked:
        given = self.taken(given)
        first = torch.zeros_like(given["kept"])
        first[:, 0] = True
        words = given["words"].where(told[:, None, None], self.silence)  # the first word stands for no caption
        kept = given["kept"].where(told[:, None], first)
        mean = (words * kept[..., None]).sum(1) / kept.sum(1, keepdim=True)
        return Asked(self.whole(mean), self.word(words), kept)

    def nothing(self, count: int) -> Asked:
        words = self.silence.expand(count, 1, -1)
        return Asked(self.whole(words[:, 0]), self.word(words), torch.ones_like(words[..., 0], dtype=torch.bool))


def check_given(given: Mapping[str, Tensor], names: tuple[str, ...], count: int) -> None:
    """Raises: ValueError: one of these tensors is missing, or has not a row for each of so many pictures."""
    if any(name not in given or len(given[name]) != count for name in names):
        found = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in given.items()) or "nothing"
        raise ValueError(f"{count} pictures of {found} were asked for: give {', '.join(names)}, a row each")

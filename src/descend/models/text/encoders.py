"""Reading a text: an encoder gives each token with what is around it, [batch, time] to [batch, time, width], and a
summary makes one of them all. `BERT` is an encoder, too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from descend.nn import Cell, Recurrent

Kept = Bool[Tensor, "batch time"] | None
"""Which tokens are a text's own, and no padding; all if None."""


class RecurrentEncoder(nn.Module):
    """Read both ways (Graves and Schmidhuber 2005): half of what comes out has read all before, half all behind.

    Args:
        cell: the kind of recurrence.
        vocabulary: how many tokens there are.
        embedding: width of a token.
        width: of what comes out, even.
        layers: of recurrence.
        dropout: of the embeddings, and between layers.
    """

    def __init__(self, cell: Cell, vocabulary: int, embedding: int, width: int, layers: int = 1, dropout: float = 0.0):
        super().__init__()
        if width % 2:
            raise ValueError(f"RecurrentEncoder: a width of {width} has no halves for both ways; give an even one")
        self.cell = cell
        self.vocabulary = vocabulary
        self.embedding = embedding
        self.width = width
        self.layers = layers
        self.dropout = dropout
        self.words = nn.Embedding(vocabulary, embedding)
        self.drop = nn.Dropout(dropout)
        self.body = Recurrent(cell, embedding, width // 2, layers, both=True, dropout=dropout)
        # Glorot and Bengio 2010 would make the rows of a large vocabulary vanish: numbers of about ⅓ are read well.
        nn.init.normal_(self.words.weight, std=0.3)

    def forward(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch time width"]:
        """Padding gives zeros, on whichever side it stands."""
        if kept is None:
            return self.body(self.drop(self.words(tokens)))[0]
        # Recurrence wants a text's own tokens first; afterwards everything goes back to where it stood.
        order = (~kept).long().argsort(dim=1, stable=True)
        x = self.drop(self.words(tokens.gather(1, order)))
        y = self.body(x, lengths=kept.sum(1).clamp(min=1))[0]
        return torch.zeros_like(y).scatter(1, order[:, :, None].expand_as(y), y) * kept[:, :, None]


class Summary(ABC):
    """What of an encoder's tokens stands for the text: ``summary(x, kept)``."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "batch time width"], kept: Kept) -> Float[Tensor, "batch width"]: ...


@dataclass(frozen=True)
class FirstToken(Summary):
    """The first one, which is made for it."""

    def __call__(self, x: Float[Tensor, "batch time width"], kept: Kept) -> Float[Tensor, "batch width"]:
        if kept is None:
            return x[:, 0]
        return x[torch.arange(len(x), device=x.device), kept.long().argmax(1)]


@dataclass(frozen=True)
class MeanOfTokens(Summary):
    """The mean of a text's own (Reimers and Gurevych 2019)."""

    def __call__(self, x: Float[Tensor, "batch time width"], kept: Kept) -> Float[Tensor, "batch width"]:
        if kept is None:
            return x.mean(1)
        return (x * kept[:, :, None]).sum(1) / kept.sum(1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class MostOfTokens(Summary):
    """The greatest of each number over a text's own (Collobert and Weston 2008)."""

    def __call__(self, x: Float[Tensor, "batch time width"], kept: Kept) -> Float[Tensor, "batch width"]:
        return x.amax(1) if kept is None else x.masked_fill(~kept[:, :, None], -torch.inf).amax(1)


class TextClassifier(nn.Module):
    """An encoder, what stands for the text, and a linear head.

    >>> TextClassifier(BERT(30522, 384, 12, 6), 384, classes=2, summary=MeanOfTokens())

    Args:
        encoder: from ``tokens`` and ``kept`` to [batch, time, width].
        width: of what it gives.
        classes: numbers that come out.
        summary: `FirstToken`, `MeanOfTokens`, `MostOfTokens`.
        dropout: of what the head reads.
    """

    def __init__(
        self, encoder: nn.Module, width: int, classes: int, summary: Summary = MeanOfTokens(), dropout: float = 0.1
    ):
        super().__init__()
        self.encoder = encoder
        self.width = width
        self.classes = classes
        self.summary = summary
        self.drop = nn.Dropout(dropout)
        self.dropout = dropout
        self.head = nn.Linear(width, classes)
        # So small that no class is believed in at first.
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch classes"]:
        return self.head(self.drop(self.summary(self.encoder(tokens, kept), kept)))


class Tagger(nn.Module):
    """An encoder and a linear head for every token: [batch, time] to [batch, time, classes].

    Args:
        encoder: from ``tokens`` and ``kept`` to [batch, time, width].
        width: of what it gives.
        classes: numbers that come out for each token.
        dropout: of what the head reads.
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int, dropout: float = 0.1):
        super().__init__()
        self.encoder = encoder
        self.width = width
        self.classes = classes
        self.dropout = dropout
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)
        # So small that no class is believed in at first.
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, tokens: Int[Tensor, "batch time"], kept: Kept = None, segments: Int[Tensor, "batch time"] | None = None
    ) -> Float[Tensor, "batch time classes"]:
        """Args: segments: of encoders that know some, as `BERT`."""
        more = () if segments is None else (segments,)
        return self.head(self.drop(self.encoder(tokens, kept, *more)))

"""From hidden states to the vocabulary: logits z = W·h + b, one a word."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Logits(nn.Module):
    """z = W·h + b; with a cap c, c·tanh(z/c), so that no word is ever all too sure (Gemma Team 2024, section 2).

    Args:
        weight: W [vocabulary, width]; the embedding's own, where it is tied.
        bias: whether there is b.
        cap: c > 0.
    """

    def __init__(self, weight: nn.Parameter, bias: bool = False, cap: float | None = None):
        super().__init__()
        self.weight = weight
        self.cap = cap
        self.bias = nn.Parameter(torch.zeros(len(weight))) if bias else None

    def forward(self, hidden: Float[Tensor, "*shape width"]) -> Float[Tensor, "*shape vocabulary"]:
        logits = functional.linear(hidden, self.weight, self.bias)
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


@dataclass(frozen=True)
class Head(ABC):
    """How a language model makes its `Logits`: ``head(embedding)``. Args: as there."""

    bias: bool = False
    cap: float | None = None

    @abstractmethod
    def weight(self, embedding: nn.Embedding) -> nn.Parameter: ...

    def __call__(self, embedding: nn.Embedding) -> Logits:
        return Logits(self.weight(embedding), self.bias, self.cap)


class Tied(Head):
    """By the embedding's own matrix: what a word means when it is read is what it means when it is said (Press and Wolf
    2017)."""

    def weight(self, embedding: nn.Embedding) -> nn.Parameter:
        return embedding.weight  # type: ignore[return-value]


class Untied(Head):
    """By a matrix of its own."""

    def weight(self, embedding: nn.Embedding) -> nn.Parameter:
        return nn.Parameter(torch.randn_like(embedding.weight) * 0.02)

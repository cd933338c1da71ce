"""What a network knows of texts that it is telling: one interface for attention that keeps keys and values, and for
states that are carried."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Memory(ABC):
    """``memory.tell(tokens)`` reads on and gives the logits of what comes then."""

    @abstractmethod
    def tell(
        self, tokens: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch vocabulary"]:
        """Args: lengths: of each row's own tokens, 1 or more, where rows are padded behind; all if None."""

    @abstractmethod
    def choose(self, rows: Int[Tensor, "batch"]) -> None:
        """Go on with these rows in place of the present ones, each a candidate for the same answer as the one whose
        place it takes."""


def last(
    states: Float[Tensor, "batch time width"], lengths: Int[Tensor, "batch"] | None
) -> Float[Tensor, "batch width"]:
    """Each row's last own state."""
    if lengths is None:
        return states[:, -1]
    return states[torch.arange(len(states), device=states.device), lengths - 1]

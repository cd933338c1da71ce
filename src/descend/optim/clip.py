"""Bounds on the gradient, applied in place before the step.

By norm the whole gradient is scaled, which keeps its direction (Pascanu et al. 2013, algorithm 1); by value every
number is cut, which does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


class Clip(ABC):
    """``clip(gradients)`` changes them in place; returns their total norm before, or None where it was not needed."""

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"{type(self).__name__}: the limit must be above 0, got {self.limit}; for none, clip=None")

    limit: float

    @abstractmethod
    def __call__(self, gradients: list[Tensor]) -> Float[Tensor, ""] | None: ...


@dataclass(frozen=True)
class ClipNorm(Clip):
    """g ← g · min(1, limit / ‖g‖), the norm being that of all gradients together."""

    limit: float = 1.0

    def __call__(self, gradients: list[Tensor]) -> Float[Tensor, ""]:
        with torch.no_grad():
            total = torch.nn.utils.get_total_norm(gradients)
            # torch adds the same 1e-6; a product by a tensor, unlike a branch on it, does not wait for the device.
            torch._foreach_mul_(gradients, torch.clamp(self.limit / (total + 1e-6), max=1.0))
        return total


@dataclass(frozen=True)
class ClipValue(Clip):
    """Every number of the gradient is brought into [-limit, limit]."""

    limit: float = 0.5

    def __call__(self, gradients: list[Tensor]) -> None:
        with torch.no_grad():
            torch._foreach_clamp_min_(gradients, -self.limit)
            torch._foreach_clamp_max_(gradients, self.limit)

"""Lion: the sign of an interpolated momentum; every weight moves by the same amount.

c = β₁·m + (1-β₁)·g,    w ← w - γ·(sign(c) + λ·w),    m ← β₂·m + (1-β₂)·g          (Chen et al. 2023, algorithm 2)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from descend.optim.optimizer import Optimizer


@dataclass(frozen=True)
class Lion(Optimizer):
    """Evolved sign momentum. Its rate is 3 to 10 times smaller than AdamW's, its decay as much larger. Common fields
    in `Optimizer`.

    Args:
        lr: γ, above 0.
        betas: β₁ and β₂, each in [0, 1).
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return SignMomentum(groups, {"lr": self.lr, "betas": self.betas})


class SignMomentum(torch.optim.Optimizer):
    """Lion's step over whole groups; state: ``exp_avg``, the momentum m."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            moving: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if not moving:
                continue
            gradients = [p.grad for p in moving if p.grad is not None]
            for parameter in moving:
                if not self.state[parameter]:
                    self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
            momenta = [self.state[p]["exp_avg"] for p in moving]
            first, second = group["betas"]
            direction = torch._foreach_lerp(momenta, gradients, 1 - first)
            torch._foreach_sign_(direction)
            if group["weight_decay"]:
                torch._foreach_mul_(moving, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(moving, direction, alpha=-group["lr"])
            torch._foreach_lerp_(momenta, gradients, 1 - second)

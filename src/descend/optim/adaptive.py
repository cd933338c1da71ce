"""Steps scaled by the gradient's past size alone, without Adam's two corrected moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from descend.optim.optimizer import Optimizer, fast


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """w ← w - γ · g / (√Σ g² + ε): rare features keep large steps (Duchi et al. 2011, eq. 1). Common fields in
    `Optimizer`.

    Args:
        lr: γ, above 0.
        eps: ε, above 0.
    """

    lr: float = 1e-2
    eps: float = 1e-10

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        on_cpu = all(p.device.type == "cpu" for group in groups for p in group["params"])
        # torch has a fused Adagrad for the CPU alone.
        return torch.optim.Adagrad(groups, lr=self.lr, eps=self.eps, **(fast(groups) if on_cpu else {"foreach": True}))


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v ← α·v + (1-α)·g²,  w ← w - γ · g / (√v + ε) (Hinton 2012, lecture 6e). Common fields in `Optimizer`.

    Args:
        lr: γ, above 0.
        alpha: α, in [0, 1).
        eps: ε, above 0.
        momentum: of the scaled step, in [0, 1).
        centered: scale by the gradient's variance in place of its square (Graves 2013, eq. 38 to 41).
    """

    lr: float = 1e-3
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(
            groups,
            lr=self.lr,
            alpha=self.alpha,
            eps=self.eps,
            momentum=self.momentum,
            centered=self.centered,
            foreach=True,
        )


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Steps in the weights' own units: scaled by past steps over past gradients (Zeiler 2012, algorithm 1). Common
    fields in `Optimizer`.

    Args:
        lr: γ, above 0; 1 in the paper.
        rho: ρ, the memory of both averages, in [0, 1).
        eps: ε, above 0.
    """

    lr: float = 1.0
    rho: float = 0.9
    eps: float = 1e-6

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adadelta(groups, lr=self.lr, rho=self.rho, eps=self.eps, foreach=True)

"""Adam and its kin: steps scaled by the running moments of the gradient.

    m ← β₁·m + (1-β₁)·g,    v ← β₂·v + (1-β₂)·g²,    w ← w - γ · m̂ / (√v̂ + ε)    (Kingma and Ba 2015, algorithm 1)

where m̂ = m / (1-β₁ᵗ) and v̂ = v / (1-β₂ᵗ).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from descend.optim.optimizer import Optimizer, fast


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam; its weight decay is added to the gradient (L2). Common fields in `Optimizer`.

    Args:
        lr: γ, above 0.
        betas: β₁ and β₂, each in [0, 1).
        eps: ε, above 0.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, lr=self.lr, betas=self.betas, eps=self.eps, **fast(groups))


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay, w ← w - γ·λ·w (Loshchilov and Hutter 2019, algorithm 2). Common fields in
    `Optimizer`.

    Args:
        lr: γ, above 0.
        betas: β₁ and β₂, each in [0, 1).
        eps: ε, above 0.
        weight_decay: λ, at least 0.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = field(default=0.01, kw_only=True)

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, eps=self.eps, **fast(groups))


@dataclass(frozen=True)
class NAdam(Optimizer):
    """Adam with Nesterov's look-ahead (Dozat 2016, algorithm 2); its weight decay is decoupled, as AdamW's. Common
    fields in `Optimizer`.

    Args:
        lr: γ, above 0.
        betas: β₁ and β₂, each in [0, 1).
        eps: ε, above 0.
        momentum_decay: ψ, how slowly β₁ is reached.
    """

    lr: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    momentum_decay: float = 4e-3

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.NAdam(
            groups,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            momentum_decay=self.momentum_decay,
            decoupled_weight_decay=True,
            foreach=True,
        )

"""Stochastic gradient descent, with momentum.

v ← μ·v + g + λ·w,    w ← w - γ·v                  (Polyak 1964; Sutskever et al. 2013, eq. 1 to 4, for Nesterov's)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from descend.optim.optimizer import Optimizer, fast


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent; common fields in `Optimizer`.

    Args:
        lr: γ, above 0.
        momentum: μ, in [0, 1).
        nesterov: look ahead along the momentum; needs one.
    """

    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov looks ahead along the momentum, and there is none: add momentum=0.9")

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, **fast(groups))
        if self.momentum:
            # torch makes these at the first gradient and, fused, fails where only some parameters have had one. Zeros
            # are the same beginning: μ·0 + g = g.
            for group in groups:
                for parameter in group["params"]:
                    optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return optimizer

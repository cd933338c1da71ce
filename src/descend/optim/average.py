"""Averaged weights: the iterates' exponential moving average, which evaluates better than the last iterate.

    average ← d · average + (1 - d) · parameters          (Polyak and Juditsky 1992; Tarvainen and Valpola 2017, eq. 2)

The description holds no tensors: the engine keeps the averages, beside the moments, and saves them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EMA:
    """An exponential moving average of the weights.

    Args:
        decay: d, in [0, 1); the average spans about 1 / (1 - d) steps.
        warmup: begin with the shorter memory d = min(decay, (1 + step) / (10 + step)), so that the first, random
            weights are soon forgotten.
    """

    decay: float = 0.999
    warmup: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"EMA: decay must be in [0, 1), got {self.decay}: 0.999 averages about 1,000 steps")

    def update(self, average: list[Tensor], parameters: list[Tensor], step: int) -> None:
        """Moves ``average`` in place towards ``parameters``, of the same shapes; ``step`` counts updates from 1."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - decay)

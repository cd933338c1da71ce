"""Moments that have faded to nothing.

A unit that has died gets no gradient any more, and its moments shrink step by step, m ← β·m, down to the smallest
numbers that float32 has, where rounding keeps them for ever. A CPU takes some hundred cycles for each product with such
a number: AdamW's and SGD's steps then last 8 and 14 times as long, Muon's longer. So what has become as good as nothing
is made nothing, now and then.
"""

from __future__ import annotations

import torch
from torch import Tensor

FADED = 1e-30
"""Nothing beside any ε that second moments stand under a root with, and beside any weight that first moments move."""
EVERY = 100
"""Steps; a moment that fades with β = 0.9 comes from `FADED` to 3·10⁻³⁵ in them, which is still an ordinary number."""


@torch.no_grad()
def forget(optimizer: torch.optim.Optimizer) -> None:
    """Set all numbers within ±`FADED` in the moments to 0, where they are on a CPU: a GPU is not slowed by them."""
    for parameter, state in optimizer.state.items():
        for moment in state.values():
            if isinstance(moment, Tensor) and moment.device.type == "cpu" and moment.shape == parameter.shape:
                moment.copy_(torch.hardshrink(moment, FADED))

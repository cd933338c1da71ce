"""Eight narrow Gaussians on a ring: what a generator that collapses cannot cover."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from descend.data import Loader, Tensors
from descend.functional import keyed

RADIUS, SPREAD, SAMPLES = 2.0, 0.1, 2000


def centres() -> Float[Tensor, "8 2"]:
    angles = torch.arange(8) * (math.pi / 4)
    return RADIUS * torch.stack([angles.cos(), angles.sin()], 1)


def real(batch: int, n: int = 8192) -> Loader:
    generator = keyed.generator(8)
    mode = torch.randint(8, (n,), generator=generator)
    return Loader(Tensors(x=centres()[mode] + SPREAD * torch.randn(n, 2, generator=generator)), batch)


def coverage(points: Float[Tensor, "n 2"]) -> float:
    """The share of points within three standard deviations of a mode; 0 unless each of the eight holds 3 % of all."""
    distance, mode = torch.cdist(points, centres()).min(1)
    good = distance < 3 * SPREAD
    share = torch.bincount(mode[good], minlength=8) / len(points)
    return share.sum().item() if share.min() >= 0.03 else 0.0

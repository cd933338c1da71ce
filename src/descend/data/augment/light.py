"""Augmentations that change what is seen and leave it where it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from descend.data.augment.augment import Augment, Keys, Pictures, whole
from descend.functional import keyed


@dataclass(frozen=True)
class Cutout(Augment):
    """A square of ``size`` pixels set to 0, anywhere, cut at the edges (DeVries and Taylor 2017)."""

    size: int = 8

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        height, width = x.shape[2:]
        top, left = (whole(keys, draw, most) - self.size // 2 for draw, most in ((0, height), (1, width)))
        rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
        tall = (rows >= top[:, None]) & (rows < top[:, None] + self.size)
        wide = (columns >= left[:, None]) & (columns < left[:, None] + self.size)
        return x.masked_fill((tall[:, :, None] & wide[:, None, :])[:, None], 0.0)


@dataclass(frozen=True)
class Light(Augment):
    """x · (1 + c) + b, with c in ±contrast and b in ±brightness, in the units of ``x``."""

    brightness: float = 0.2
    contrast: float = 0.2

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        b, c = (2 * keyed.uniform(keys, draw) - 1 for draw in (0, 1))
        return x * (1 + c * self.contrast)[:, None, None, None] + (b * self.brightness)[:, None, None, None]


@dataclass(frozen=True)
class Colour(Augment):
    """Each pixel's colours drawn towards their mean or away from it, by a factor in 1 ± saturation; and each channel
    shifted by up to ``tint``, in the units of ``x``."""

    saturation: float = 0.3
    tint: float = 0.1

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        factor = 1 + self.saturation * (2 * keyed.uniform(keys, 0) - 1)[:, None, None, None]
        grey = x.mean(1, keepdim=True)
        shifts = torch.stack([2 * keyed.uniform(keys, 1 + channel) - 1 for channel in range(x.shape[1])], 1)
        return grey + factor * (x - grey) + self.tint * shifts[:, :, None, None]

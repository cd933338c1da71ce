"""Damage that is to be undone: the clean picture becomes the target, and what is left of it the input.

In a `Compose` damage comes last, behind whatever moves the picture; of several, each damages what the one before left,
and the target stays the picture that the first one found.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from descend.data.augment.augment import Augment, Keys, Pictures
from descend.data.augment.light import Cutout
from descend.data.batch import Batch
from descend.functional import bicubic, keyed


class Damage(Augment):
    """``damage(batch, keys)``: ``x``, of bytes or of 0 … 1, becomes ``target`` of 0 … 1, and damaged ``x``.

    Attributes:
        scale: how many times smaller a picture becomes; the target is cut to a multiple of it.
    """

    scale: int

    def __call__(self, batch: Batch, keys: Keys) -> Batch:
        x = batch["x"]
        height, width = (side - side % self.scale for side in x.shape[2:])
        if not height or not width:
            raise ValueError(
                f"{self}: nothing is left of {x.shape[3]}×{x.shape[2]} pixels: give {self.scale} a side or more"
            )
        clean = x[:, :, :height, :width]
        clean = clean if clean.is_floating_point() else clean.float() / 255
        return type(batch)({**batch, "x": self.apply(clean, keys), "target": batch.get("target", clean)})


@dataclass(frozen=True)
class Noise(Damage):
    """Normal noise of standard deviation ``sigma``, in levels of 255, on every number; what leaves 0 … 1 is not cut, as
    in the published experiments (Zhang et al. 2017, section IV)."""

    sigma: float = 25.0
    scale = 1

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        return x + self.sigma / 255 * keyed.normals(keys, x[0].numel()).view(x.shape).to(x.dtype)


@dataclass(frozen=True)
class Downscale(Damage):
    """``scale`` times fewer rows and columns, `bicubic`, in whole levels of 255 as a file would hold them."""

    scale: int = 2

    def apply(self, x: Pictures, keys: Keys) -> Float[Tensor, "batch channels rows columns"]:
        small = bicubic(x, x.shape[2] // self.scale, x.shape[3] // self.scale)
        return (small.clamp(0, 1) * 255).round() / 255


@dataclass(frozen=True)
class Hole(Damage):
    """A square of ``size`` pixels made black, anywhere, as `Cutout` does."""

    size: int = 16
    scale = 1

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        return Cutout(self.size).apply(x, keys)

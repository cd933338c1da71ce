"""Augmentations that mix a sample with its neighbour in the batch, and the targets with it.

The target becomes a share for each class [batch, classes]: λ of the sample's own and 1-λ of the neighbour's, with λ
drawn from Beta(α, α) for each sample. The neighbour is the sample before it in the batch, or in the rank's share of it.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from descend.data.augment.augment import Augment, Keys, Pictures, whole
from descend.data.batch import Batch
from descend.functional import keyed

_TRIES = 32


@dataclass(frozen=True)
class Mixing(Augment):
    """Base of both.

    Args:
        classes: how many there are.
        alpha: α, in (0, 1]: at 1 all shares are as likely, near 0 samples stay nearly alone.
    """

    classes: int
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise ValueError(f"{type(self).__name__}: alpha must be above 0 and at most 1, got {self.alpha}")

    @property
    def alone(self) -> bool:
        return False

    def __call__(self, batch: Batch, keys: Keys) -> Batch:
        x, target = batch["x"], batch["target"]
        if "boxes" in batch or target.dim() > 1 + target.is_floating_point():
            raise ValueError(
                f"{type(self).__name__} mixes one class a picture, or one share a class; pictures with boxes or masks "
                "are augmented without it"
            )
        if not target.is_floating_point():
            target = functional.one_hot(target, self.classes).to(x.dtype)
        mixed, own = self.mix(x, x.roll(1, 0), keys, beta(keys, self.alpha))
        own = own[:, None].to(x.dtype)
        return type(batch)({**batch, "x": mixed, "target": own * target + (1 - own) * target.roll(1, 0)})

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        return self.mix(x, x.roll(1, 0), keys, beta(keys, self.alpha))[0]

    @abstractmethod
    def mix(
        self, x: Pictures, other: Pictures, keys: Keys, own: Float[Tensor, "batch"]
    ) -> tuple[Pictures, Float[Tensor, "batch"]]:
        """What is seen, and the share of it that is the sample's own."""


@dataclass(frozen=True)
class Mixup(Mixing):
    """λ·x + (1-λ)·x' (Zhang et al. 2018, "mixup")."""

    alpha: float = 0.2

    def mix(self, x: Pictures, other: Pictures, keys: Keys, own: Tensor) -> tuple[Pictures, Tensor]:
        share = own[:, None, None, None].to(x.dtype)
        return share * x + (1 - share) * other, own


@dataclass(frozen=True)
class CutMix(Mixing):
    """A rectangle of the neighbour's of 1-λ of the area, cut at the edges, and λ made good for that (Yun et al. 2019,
    eq. 1 and 2)."""

    def mix(self, x: Pictures, other: Pictures, keys: Keys, own: Tensor) -> tuple[Pictures, Tensor]:
        height, width = x.shape[2:]
        side = (1 - own).sqrt()
        inside = []
        for draw, length in ((-1, height), (-2, width)):
            middle, half = whole(keys, draw, length), (side * length / 2).round()
            places = torch.arange(length, device=x.device)
            inside.append((places >= (middle - half)[:, None]) & (places < (middle + half)[:, None]))
        taken = inside[0][:, :, None] & inside[1][:, None, :]
        return torch.where(taken[:, None], other, x), 1 - taken.float().mean((1, 2))


def beta(keys: Keys, alpha: float) -> Float[Tensor, "batch"]:
    """A number from Beta(α, α) for every key, 0 < α ≤ 1 (Jöhnk 1964: of a = u^(1/α) and b = v^(1/α), a/(a+b), the first
    time that a + b ≤ 1)."""
    found, open_ = torch.full(keys.shape, 0.5, device=keys.device), torch.ones_like(keys, dtype=torch.bool)
    for attempt in range(_TRIES):
        # As logarithms, because small α underflow; 1-u is never 0.
        a, b = (torch.log1p(-keyed.uniform(keys, 2 * attempt + i)) / alpha for i in (0, 1))
        both = torch.logaddexp(a, b)
        found = torch.where(open_ & (both <= 0), (a - both).exp(), found)
        open_ = open_ & (both > 0)
    return found

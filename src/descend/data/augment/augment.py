"""What every augmentation is, and how several become one.

Each one is called ``augment(batch, keys)`` with a 64-bit key a sample, changes ``x`` [batch, channels, height, width]
for all samples at once, and draws with `keyed.uniform` only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from descend.data.batch import Batch
from descend.functional import keyed

Pictures = Float[Tensor, "batch channels height width"]
Keys = Int[Tensor, "batch"]


class Augment(ABC):
    """``augment(batch, keys) -> batch``, with everything but ``x`` untouched."""

    @property
    def alone(self) -> bool:
        """Whether each sample changes by itself, and keeps its size."""
        return True

    def __call__(self, batch: Batch, keys: Keys) -> Batch:
        return type(batch)({**batch, "x": self.apply(batch["x"], keys)})

    @abstractmethod
    def apply(self, x: Pictures, keys: Keys) -> Pictures: ...


@dataclass(frozen=True)
class Compose(Augment):
    """One after the other; each draws apart from the others, also from another of its kind."""

    parts: tuple[Augment, ...]

    def __call__(self, batch: Batch, keys: Keys) -> Batch:
        for place, part in enumerate(self.parts):
            batch = part(batch, keyed.hashed(keys, place))
        return batch

    @property
    def alone(self) -> bool:
        return all(part.alone for part in self.parts)

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        return self(Batch(x=x), keys)["x"]


@dataclass(frozen=True)
class RandAugment(Augment):
    """Of several, each sample gets ``count``, drawn anew and one after the other (Cubuk et al. 2020, "RandAugment").
    How strong each is, it says itself.

    >>> RandAugment((Affine(), Light(), Colour(), Cutout()))
    """

    parts: tuple[Augment, ...]
    count: int = 2

    def __post_init__(self) -> None:
        if mixed := [part for part in self.parts if not part.alone]:
            raise ValueError(
                f"RandAugment: {type(mixed[0]).__name__} does not keep samples apart and of one size: "
                "compose it before or after"
            )
        if not self.parts or self.count < 1:
            raise ValueError(
                f"RandAugment: {self.count} of {len(self.parts)} augmentations: give 1 or more of 1 or more"
            )

    def __call__(self, batch: Batch, keys: Keys) -> Batch:
        for turn in range(self.count):
            drawn = whole(keys, turn, len(self.parts))
            changed = {name: tensor.clone() for name, tensor in batch.items()}
            for place, part in enumerate(self.parts):
                rows = (drawn == place).nonzero().flatten()
                if len(rows):
                    some = part(Batch({n: t[rows] for n, t in batch.items()}), keyed.hashed(keys[rows], turn, place))
                    for name, tensor in some.items():
                        changed[name][rows] = tensor
            batch = type(batch)(changed)
        return batch

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        return self(Batch(x=x), keys)["x"]


def whole(keys: Keys, draw: int, most: int) -> Int[Tensor, "batch"]:
    """A whole number 0 … most-1."""
    return (keyed.uniform(keys, draw) * most).to(torch.int64)

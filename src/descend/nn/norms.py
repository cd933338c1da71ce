"""Normalisations, as descriptions: ``norm(channels)`` makes the module.

All are y = γ·(x - mean)/√(var + ε) + β; they differ in what mean and variance are taken over:

| name | over | source |
|---|---|---|
| `BatchNorm` | the batch and all places, a channel at a time | Ioffe and Szegedy 2015 |
| `LayerNorm` | the last axis | Ba et al. 2016 |
| `GroupNorm` | the places and a group of channels of one sample | Wu and He 2018 |
| `InstanceNorm` | the places of one channel of one sample | Ulyanov et al. 2016 |
| `RMSNorm` | the last axis, without the mean | Zhang and Sennrich 2019 |

Places are the axes behind the channels: none in [batch, channels], two in [batch, channels, height, width].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn


class Norm(ABC):
    """``norm(channels) -> module``."""

    @abstractmethod
    def __call__(self, channels: int) -> nn.Module: ...

    @abstractmethod
    def suits(self, axes: int) -> bool:
        """Whether it normalises [batch, channels] with so many axes of places behind."""


@dataclass(frozen=True)
class BatchNorm(Norm):
    """Args: axes: how many axes places have, 0 (tables), 1, 2 or 3; momentum: of the running statistics; eps: ε."""

    axes: int = 2
    momentum: float = 0.1
    eps: float = 1e-5

    def __call__(self, channels: int) -> nn.Module:
        kinds = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        return kinds[self.axes](channels, self.eps, self.momentum)

    def suits(self, axes: int) -> bool:
        return axes == self.axes


@dataclass(frozen=True)
class LayerNorm(Norm):
    eps: float = 1e-5

    def __call__(self, channels: int) -> nn.Module:
        return nn.LayerNorm(channels, self.eps)

    def suits(self, axes: int) -> bool:
        return axes == 0  # the last axis would be a place


@dataclass(frozen=True)
class GroupNorm(Norm):
    """Args: groups: of channels; where they do not divide the channels, the greatest number below that does."""

    groups: int = 8
    eps: float = 1e-5

    def __call__(self, channels: int) -> nn.Module:
        groups = next(g for g in range(min(self.groups, channels), 0, -1) if channels % g == 0)
        return nn.GroupNorm(groups, channels, self.eps)

    def suits(self, axes: int) -> bool:
        return True


@dataclass(frozen=True)
class InstanceNorm(Norm):
    """As a group norm of one channel a group, with γ and β."""

    eps: float = 1e-5

    def __call__(self, channels: int) -> nn.Module:
        return nn.GroupNorm(channels, channels, self.eps)

    def suits(self, axes: int) -> bool:
        return axes > 0  # a channel without places is one number, which less its own mean is 0


@dataclass(frozen=True)
class RMSNorm(Norm):
    eps: float = 1e-6

    def __call__(self, channels: int) -> nn.Module:
        return nn.RMSNorm(channels, self.eps)

    def suits(self, axes: int) -> bool:
        return axes == 0

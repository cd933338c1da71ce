"""ResNets (He et al. 2016): a stem, stages of residual blocks, mean, head; for photos (section 4.1) and for small
pictures (section 4.2), which differ in their stem. With three axes they read volumes and clips (Hara et al. 2018)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import (
    BatchNorm,
    ConvBlock,
    He,
    Norm,
    ReLU,
    bottleneck_block,
    initialise,
    initialise_head,
    residual_block,
)


class Stem(ABC):
    """``stem(channels, width, norm, axes)`` makes what stands before the stages."""

    @abstractmethod
    def __call__(self, channels: int, width: int, norm: Norm, axes: int) -> nn.Module: ...


@dataclass(frozen=True)
class SmallStem(Stem):
    """A 3×3 convolution: the picture keeps its size."""

    def __call__(self, channels: int, width: int, norm: Norm, axes: int) -> nn.Module:
        return ConvBlock(channels, width, 3, 1, norm, ReLU(), axes=axes)


@dataclass(frozen=True)
class PhotoStem(Stem):
    """A 7×7 convolution and a maximum, each halving the picture."""

    def __call__(self, channels: int, width: int, norm: Norm, axes: int) -> nn.Module:
        pool = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[axes]
        return nn.Sequential(ConvBlock(channels, width, 7, 2, norm, ReLU(), axes=axes), pool(3, 2, 1))


class ResNet(nn.Module):
    """Stages of residual blocks; each stage after the first halves the picture.

    Args:
        channels: of the picture.
        classes: numbers that come out.
        blocks: how many in each stage.
        widths: channels of each stage.
        norm: after every convolution. Batch norm couples the samples of a batch; `GroupNorm` does not.
        first: what stands before the stages: `SmallStem`, `PhotoStem`.
        narrow: how many times fewer channels the middle of a block has; at 1 a block is two 3×3 convolutions.
        axes: of places: 1 (sound), 2 (pictures), 3 (volumes, clips).
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        blocks: tuple[int, ...] = (3, 3, 3),
        widths: tuple[int, ...] = (16, 32, 64),
        norm: Norm = BatchNorm(),
        first: Stem = SmallStem(),
        narrow: int = 1,
        axes: int = 2,
    ):
        super().__init__()
        if len(blocks) != len(widths):
            raise ValueError(f"ResNet: blocks {blocks} and widths {widths} give one number a stage each")
        self.channels = channels
        self.classes = classes
        self.blocks = blocks
        self.widths = widths
        self.norm = norm
        self.first = first
        self.narrow = narrow
        self.axes = axes
        before = widths[0] // narrow
        self.stem = first(channels, before, norm, axes)
        stages: list[nn.Module] = []
        for number, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            for place in range(count):
                stride = 2 if number and place == 0 else 1
                if narrow == 1:
                    stages.append(residual_block(before, width, stride, norm, axes=axes))
                else:
                    stages.append(bottleneck_block(before, width, stride, norm, axes=axes, narrow=narrow))
                before = width
        self.stages = nn.Sequential(*stages)
        self.pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[axes](1)
        self.head = nn.Linear(before, classes)
        # He et al. 2015 for the ReLUs, by fan_out as the paper's own training did.
        initialise(self, He(fan="fan_out"))
        initialise_head(self.head)
        if axes == 2:
            # Channels lie last in memory: the same numbers, and convolutions on CPU and GPU alike run faster (CPU:
            # 1.4 ×).
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, x: Float[Tensor, "batch channels *places"]) -> Float[Tensor, "batch features"]:
        """What the head reads."""
        return self.pool(self.stages(self.stem(x))).flatten(1)

    def forward(self, x: Float[Tensor, "batch channels *places"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.features(x))


def resnet20(channels: int = 3, classes: int = 10) -> ResNet:
    """0.27 M parameters; CIFAR-10 error 8.75 % in the paper's table 6."""
    return ResNet(channels, classes, (3, 3, 3))


def resnet32(channels: int = 3, classes: int = 10) -> ResNet:
    return ResNet(channels, classes, (5, 5, 5))


def resnet44(channels: int = 3, classes: int = 10) -> ResNet:
    return ResNet(channels, classes, (7, 7, 7))


def resnet56(channels: int = 3, classes: int = 10) -> ResNet:
    return ResNet(channels, classes, (9, 9, 9))


_PLAIN, _DEEP = (64, 128, 256, 512), (256, 512, 1024, 2048)


def resnet18(channels: int = 3, classes: int = 1000, first: Stem = PhotoStem()) -> ResNet:
    """11.7 M parameters. With a `SmallStem` for small pictures."""
    return ResNet(channels, classes, (2, 2, 2, 2), _PLAIN, first=first)


def resnet34(channels: int = 3, classes: int = 1000, first: Stem = PhotoStem()) -> ResNet:
    """21.8 M parameters."""
    return ResNet(channels, classes, (3, 4, 6, 3), _PLAIN, first=first)


def resnet50(channels: int = 3, classes: int = 1000, first: Stem = PhotoStem()) -> ResNet:
    """25.6 M parameters."""
    return ResNet(channels, classes, (3, 4, 6, 3), _DEEP, first=first, narrow=4)


def resnet101(channels: int = 3, classes: int = 1000, first: Stem = PhotoStem()) -> ResNet:
    """44.5 M parameters."""
    return ResNet(channels, classes, (3, 4, 23, 3), _DEEP, first=first, narrow=4)


def resnet152(channels: int = 3, classes: int = 1000, first: Stem = PhotoStem()) -> ResNet:
    """60.2 M parameters."""
    return ResNet(channels, classes, (3, 8, 36, 3), _DEEP, first=first, narrow=4)

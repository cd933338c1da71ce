"""MobileNetV2 (Sandler et al. 2018) and EfficientNet-Lite (Tan and Le 2019, in its form for phones): stages of inverted
residuals. The two differ in their numbers alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import BatchNorm, ConvBlock, He, InvertedResidual, Norm, ReLU6, initialise, initialise_head


@dataclass(frozen=True)
class Stage:
    """Blocks of one width.

    Args:
        channels: that go out.
        blocks: how many.
        stride: of the first.
        expand: as in `InvertedResidual`.
        kernel: of the depthwise convolutions.
    """

    channels: int
    blocks: int = 1
    stride: int = 1
    expand: int = 6
    kernel: int = 3


MOBILENET_V2 = (
    Stage(16, 1, 1, 1),
    Stage(24, 2, 2),
    Stage(32, 3, 2),
    Stage(64, 4, 2),
    Stage(96, 3, 1),
    Stage(160, 3, 2),
    Stage(320, 1, 1),
)
"""Table 2 of the paper."""

EFFICIENTNET = (
    Stage(16, 1, 1, 1),
    Stage(24, 2, 2),
    Stage(40, 2, 2, kernel=5),
    Stage(80, 3, 2),
    Stage(112, 3, 1, kernel=5),
    Stage(192, 4, 2, kernel=5),
    Stage(320, 1, 1),
)
"""Table 1 of the paper."""


class MobileNet(nn.Module):
    """A stem that halves the picture, stages of inverted residuals, a wide 1×1 convolution, mean, head.

    Args:
        channels: of the picture.
        classes: numbers that come out.
        stages: their settings.
        stem: channels behind the first convolution.
        last: channels of the 1×1 convolution.
        norm: behind every convolution.
        activation: of stem, blocks and last convolution.
        dropout: before the head.
        drop_path: the last block's; earlier ones have less, the first none.
        stride: of the stem: 2 for photos, 1 for small pictures.
        far: as in `ConvBlock`; so were EfficientNets trained.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        stages: tuple[Stage, ...] = MOBILENET_V2,
        stem: int = 32,
        last: int = 1280,
        norm: Norm = BatchNorm(),
        activation: nn.Module = ReLU6(),
        dropout: float = 0.2,
        drop_path: float = 0.0,
        stride: int = 2,
        far: bool = False,
    ):
        super().__init__()
        self.channels = channels
        self.classes = classes
        self.stages = stages
        self.stem = stem
        self.last = last
        self.norm = norm
        vars(self)["activation"] = activation
        self.dropout = dropout
        self.drop_path = drop_path
        self.stride = stride
        self.far = far
        count = sum(stage.blocks for stage in stages)
        drops = iter(drop_path * number / max(count - 1, 1) for number in range(count))
        body: list[nn.Module] = [ConvBlock(channels, stem, 3, stride, norm, activation, far=far)]
        before = stem
        for stage in stages:
            for place in range(stage.blocks):
                step = stage.stride if place == 0 else 1
                body.append(
                    InvertedResidual(
                        before,
                        stage.channels,
                        stage.expand,
                        stage.kernel,
                        step,
                        norm,
                        activation,
                        drop_path=next(drops),
                        far=far,
                    )
                )
                before = stage.channels
        body.append(ConvBlock(before, last, 1, 1, norm, activation))
        self.body = nn.Sequential(*body)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(last, classes)
        # He et al. 2015 for the ReLUs, by fan_out as in the reference training.
        initialise(self, He(fan="fan_out"))
        initialise_head(self.head)
        # Channels lie last in memory: the same numbers, and convolutions run faster.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        """What the head reads."""
        return self.drop(self.body(x).mean((2, 3)))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.features(x))


def mobilenet_v2(channels: int = 3, classes: int = 1000) -> MobileNet:
    """3.5 M parameters; ImageNet 72.0 % in the paper's table 4."""
    return MobileNet(channels, classes)


def efficientnet_lite0(channels: int = 3, classes: int = 1000) -> MobileNet:
    """4.7 M parameters; ImageNet 75.1 %, on pictures of 224×224."""
    return _lite(channels, classes, 1.0, 1.0, 0.2)


def efficientnet_lite2(channels: int = 3, classes: int = 1000) -> MobileNet:
    """6.1 M parameters; ImageNet 77.6 %, on pictures of 260×260."""
    return _lite(channels, classes, 1.1, 1.2, 0.3)


def _lite(channels: int, classes: int, wider: float, deeper: float, dropout: float) -> MobileNet:
    """Stem, first and last stage stay as deep, and stem and last convolution as wide, as in EfficientNet-Lite0."""
    stages = []
    for place, stage in enumerate(EFFICIENTNET):
        fixed = place in (0, len(EFFICIENTNET) - 1)
        blocks = stage.blocks if fixed else math.ceil(stage.blocks * deeper)
        stages.append(Stage(_rounded(stage.channels * wider), blocks, stage.stride, stage.expand, stage.kernel))
    # torch's momentum of 0.1, not the 0.01 of the reference training: a hundred steps on a few photos must be enough
    # for the statistics to follow.
    return MobileNet(channels, classes, tuple(stages), norm=BatchNorm(eps=1e-3), dropout=dropout, far=True)


def _rounded(channels: float, by: int = 8) -> int:
    """The nearest multiple of 8, but never 10 % less."""
    near = max(by, int(channels + by / 2) // by * by)
    return near if near >= 0.9 * channels else near + by

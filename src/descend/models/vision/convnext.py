"""ConvNeXt (Liu et al. 2022, "A ConvNet for the 2020s"): a ResNet that took over what Transformers do well.

A block is a 7×7 depthwise convolution, a norm over channels, and a network for each place, added to what came in;
stages begin with a norm and a convolution that halves the picture.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import DropPath, FeedForward, TruncatedNormal, initialise, initialise_head


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of [batch, channels, height, width], at each place."""

    def forward(
        self, input: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """x + scale · feed(norm(depthwise(x))) (figure 4 of the paper).

    Args:
        width: channels.
        kernel: of the depthwise convolution, odd.
        scale: a learned factor a channel, which starts at this.
        drop_path: the probability that the branch is left out for a sample.
    """

    def __init__(self, width: int, kernel: int = 7, scale: float = 1e-6, drop_path: float = 0.0):
        super().__init__()
        self.width = width
        self.kernel = kernel
        self.scale = scale
        self.drop_path = drop_path
        self.depthwise = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, 1e-6)
        self.feed = FeedForward(width, 4 * width)
        self.factor = nn.Parameter(torch.full((width,), scale))
        self.drop = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "batch width rows columns"]) -> Float[Tensor, "batch width rows columns"]:
        # Channels last, so that the maps are plain products.
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.factor * self.feed(self.norm(y))
        return x + self.drop(y.permute(0, 3, 1, 2))


class ConvNeXt(nn.Module):
    """Stages of blocks; each stage after the first halves the picture, the stem divides it by ``patch``.

    Args:
        channels: of the picture.
        classes: numbers that come out.
        depths: blocks of each stage.
        widths: channels of each stage.
        patch: side of the squares that the stem reads, in pixels: 4 for photos, 1 or 2 for small pictures.
        drop_path: the last block's; earlier ones have less, the first none.
        scale: as in `ConvNeXtBlock`.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        depths: tuple[int, ...] = (3, 3, 9, 3),
        widths: tuple[int, ...] = (96, 192, 384, 768),
        patch: int = 4,
        drop_path: float = 0.0,
        scale: float = 1e-6,
    ):
        super().__init__()
        if len(depths) != len(widths):
            raise ValueError(f"ConvNeXt: depths {depths} and widths {widths} give one number a stage each")
        self.channels = channels
        self.classes = classes
        self.depths = depths
        self.widths = widths
        self.patch = patch
        self.drop_path = drop_path
        self.scale = scale
        drops = iter(drop_path * number / max(sum(depths) - 1, 1) for number in range(sum(depths)))
        stages: list[nn.Module] = []
        for number, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            if number == 0:
                begin = [nn.Conv2d(channels, width, patch, patch), ChannelNorm(width, 1e-6)]
            else:
                before = widths[number - 1]
                begin = [ChannelNorm(before, 1e-6), nn.Conv2d(before, width, 2, 2)]
            stages.append(nn.Sequential(*begin, *(ConvNeXtBlock(width, 7, scale, next(drops)) for _ in range(depth))))
        self.stages = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(widths[-1], 1e-6)
        self.head = nn.Linear(widths[-1], classes)
        # Small normal weights, as in the paper's code: norms stand before all of them.
        initialise(self, TruncatedNormal())
        initialise_head(self.head)

    def features(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        """What the head reads.

        Raises:
            ValueError: nothing would be left of the picture.
        """
        least = self.patch * 2 ** (len(self.depths) - 1)
        if min(x.shape[2:]) < least:
            raise ValueError(
                f"ConvNeXt: a picture of {x.shape[2]}×{x.shape[3]} is divided by {least}: give {least}×{least} or more"
            )
        return self.norm(self.stages(x).mean((2, 3)))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.features(x))


def convnext_tiny(channels: int = 3, classes: int = 1000) -> ConvNeXt:
    """28.6 M parameters; ImageNet 82.1 % in the paper's table 1."""
    return ConvNeXt(channels, classes)


def convnext_small(channels: int = 3, classes: int = 1000) -> ConvNeXt:
    """50 M parameters; ImageNet 83.1 %."""
    return ConvNeXt(channels, classes, (3, 3, 27, 3))

"""Convolutions put together: separable, inverted residuals, squeeze and excite, upwards, pyramids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from descend.nn.activations import ReLU, SiLU, each
from descend.nn.blocks import ConvBlock
from descend.nn.dropout import DropPath
from descend.nn.norms import BatchNorm, Norm


def separable_block(
    in_channels: int, channels: int, stride: int = 1, norm: Norm = BatchNorm(), activation: nn.Module | None = None
) -> nn.Sequential:
    """A 3×3 filter for each channel, then a 1×1 convolution over channels: 8 to 9 times fewer products than a full
    3×3 convolution (Howard et al. 2017, "MobileNets", section 3.1)."""
    activation = ReLU() if activation is None else activation
    return nn.Sequential(
        ConvBlock(in_channels, in_channels, 3, stride, norm, activation, groups=in_channels),
        ConvBlock(in_channels, channels, 1, 1, norm, activation),
    )


class SqueezeExcite(nn.Module):
    """Each channel times a factor in (0, 1) that the means of all channels decide (Hu et al. 2018, eq. 2 to 4).

    Args:
        channels: in and out.
        hidden: width of the layer between.
        activation: of the layer between; made anew where it has parameters.
    """

    def __init__(self, channels: int, hidden: int, activation: nn.Module = ReLU()):
        super().__init__()
        self.channels = channels
        self.hidden = hidden
        vars(self)["activation"] = activation
        self.gate = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), each(activation), nn.Conv2d(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        return x * self.gate(x.mean((2, 3), keepdim=True))


class InvertedResidual(nn.Module):
    """Wide, depthwise, narrow without an activation, and added to what came in where the shape is the same (Sandler et
    al. 2018, figure 3b).

    Args:
        in_channels, channels: in and out.
        expand: how many times wider the middle is; at 1 nothing stands before the depthwise convolution.
        kernel: of the depthwise convolution, odd.
        stride: its stride.
        norm: behind every convolution.
        activation: of the middle.
        squeeze: width of a `SqueezeExcite` in the middle; none if None.
        drop_path: the probability that the branch is left out for a sample.
        far: as in `ConvBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        expand: int = 6,
        kernel: int = 3,
        stride: int = 1,
        norm: Norm = BatchNorm(),
        activation: nn.Module = SiLU(),
        squeeze: int | None = None,
        drop_path: float = 0.0,
        far: bool = False,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.channels = channels
        self.expand = expand
        self.kernel = kernel
        self.stride = stride
        self.norm = norm
        vars(self)["activation"] = activation
        self.squeeze = squeeze
        self.drop_path = drop_path
        self.far = far
        wide = in_channels * expand
        layers: list[nn.Module] = [] if expand == 1 else [ConvBlock(in_channels, wide, 1, 1, norm, activation)]
        layers.append(ConvBlock(wide, wide, kernel, stride, norm, activation, groups=wide, far=far))
        layers += [] if squeeze is None else [SqueezeExcite(wide, squeeze, activation)]
        layers.append(ConvBlock(wide, channels, 1, 1, norm))
        self.body = nn.Sequential(*layers)
        self.adds = stride == 1 and in_channels == channels
        self.drop = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch out rows columns"]:
        y = self.body(x)
        return x + self.drop(y) if self.adds else y


_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class UpBlock(nn.Module):
    """Twice the places by a transposed convolution, beside what a shorter way brought, and two convolutions
    (Ronneberger et al. 2015, figure 1).

    Args:
        in_channels: of what comes from below.
        side: channels of what comes from the side.
        channels: out.
        norm: behind every convolution.
        activation: made anew where it has parameters.
        axes: of places.
    """

    def __init__(
        self,
        in_channels: int,
        side: int,
        channels: int,
        norm: Norm = BatchNorm(),
        activation: nn.Module = ReLU(),
        axes: int = 2,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.side = side
        self.channels = channels
        self.norm = norm
        vars(self)["activation"] = activation
        self.axes = axes
        self.up = _TRANSPOSED[axes](in_channels, channels, 2, 2)
        self.body = nn.Sequential(
            ConvBlock(channels + side, channels, 3, 1, norm, activation, axes=axes),
            ConvBlock(channels, channels, 3, 1, norm, activation, axes=axes),
        )

    def forward(self, x: Float[Tensor, "batch below *half"], side: Float[Tensor, "batch side *places"]) -> Tensor:
        return self.body(torch.cat([self.up(x), side], 1))


class FeaturePyramid(nn.Module):
    """Maps of one width for every size: what is coarse and knows what, added to what is fine and knows where (Lin et
    al. 2017, figure 3).

    Args:
        widths: channels of the maps that come in, each half as large as the one before, or rounded up.
        width: channels of each map that goes out.
    """

    def __init__(self, widths: tuple[int, ...], width: int):
        super().__init__()
        self.widths = widths
        self.width = width
        self.sides = nn.ModuleList(nn.Conv2d(each, width, 1) for each in widths)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in widths)

    def forward(self, maps: Sequence[Float[Tensor, "batch _ _ _"]]) -> list[Float[Tensor, "batch width _ _"]]:
        """From fine to coarse, as they came."""
        if len(maps) != len(self.widths):
            raise ValueError(f"FeaturePyramid: {len(maps)} maps came in, made for {len(self.widths)}: {self.widths}")
        found = [side(x) for side, x in zip(self.sides, maps, strict=True)]
        for level in range(len(found) - 1, 0, -1):
            finer = found[level - 1]
            found[level - 1] = finer + functional.interpolate(found[level], finer.shape[2:], mode="nearest")
        return [smooth(y) for smooth, y in zip(self.smooth, found, strict=True)]

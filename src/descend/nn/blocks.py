"""Blocks that networks are built from.

An activation given to a block is a template: one that keeps parameters is copied for every layer, and the template
itself stays beside the modules, so that its own parameters are no part of the network. A gated one halves what it is
given, so the map before it is made twice as wide.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from descend.nn.activations import Gated, ReLU, each
from descend.nn.norms import BatchNorm, Norm


class LinearBlock(nn.Sequential):
    """Linear, norm, activation, dropout: [*, features] to [*, width].

    Args:
        features, width: in and out.
        activation: made anew where it has parameters.
        norm: a description; none if None.
        dropout: probability, 0 ≤ p < 1.

    Raises:
        ValueError: the norm or the gate is one for pictures.
    """

    def __init__(
        self, features: int, width: int, activation: nn.Module, norm: Norm | None = None, dropout: float = 0.0
    ):
        if norm is not None and not norm.suits(0):
            raise ValueError(
                f"LinearBlock: {norm} does not normalise [batch, width]: give BatchNorm(axes=0), LayerNorm(), "
                "RMSNorm() or GroupNorm()"
            )
        wide = width * _halves(activation, (-1,), "a linear layer's channels are its last axis: Gated(…, dim=-1)")
        layers: list[nn.Module] = [nn.Linear(features, wide)]
        layers += [norm(wide)] if norm else []
        layers.append(each(activation))
        layers += [nn.Dropout(dropout)] if dropout else []
        super().__init__(*layers)
        self.features = features
        self.width = width
        vars(self)["activation"] = activation
        self.norm = norm
        self.dropout = dropout


class ConvBlock(nn.Sequential):
    """Convolution without bias, norm, activation: [batch, in_channels, *places] to [batch, channels, *places/stride],
    rounded up.

    Args:
        in_channels, channels: in and out.
        kernel: sides of the filters, odd.
        stride: places between two of them.
        norm: a description of one for as many axes of places.
        activation: made anew where it has parameters; none if None.
        groups: of channels that do not see each other; as many as channels make it depthwise.
        dilation: places between two numbers of a filter (Yu and Koltun 2016).
        axes: of places: 1 (sound), 2 (pictures), 3 (volumes, clips).
        far: where a stride leaves places over, pad the far edges (`PadFar`), as TensorFlow's networks do.

    Raises:
        ValueError: the kernel is even, or the norm or the gate is none for so many axes.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        norm: Norm = BatchNorm(),
        activation: nn.Module | None = None,
        groups: int = 1,
        dilation: int = 1,
        axes: int = 2,
        far: bool = False,
    ):
        if kernel % 2 == 0:
            raise ValueError(
                f"ConvBlock: a kernel of {kernel} has no middle; give an odd one, {kernel - 1} or {kernel + 1}"
            )
        if not norm.suits(axes):
            raise ValueError(
                f"ConvBlock: {norm} does not normalise the channels of [batch, channels{', place' * axes}]: give "
                f"BatchNorm(axes={axes}), GroupNorm(), InstanceNorm(), or GroupNorm(1) for a layer norm of the whole "
                "picture"
            )
        wide = channels * _halves(activation, (1, -1 - axes), "a picture's channels are axis 1: Gated(…, dim=1)")
        # The norm's own shift follows at once, so a bias would do nothing.
        beyond = far and stride > 1
        padding = 0 if beyond else dilation * (kernel // 2)
        filters = CONVOLUTIONS[axes](in_channels, wide, kernel, stride, padding, dilation, groups, bias=False)
        before = [PadFar(dilation * (kernel - 1) + 1, stride)] if beyond else []
        super().__init__(*before, filters, norm(wide), *([] if activation is None else [each(activation)]))
        self.in_channels = in_channels
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.norm = norm
        vars(self)["activation"] = activation
        self.groups = groups
        self.dilation = dilation
        self.axes = axes
        self.far = far


class PadFar(nn.Module):
    """Zeros around a picture, so that a convolution with stride gives length/stride places, rounded up; where they are
    not the same on both sides, there is one more at the far one.

    Args:
        reach: of a filter, from its first place to its last.
        stride: between two of them.
    """

    def __init__(self, reach: int, stride: int):
        super().__init__()
        self.reach = reach
        self.stride = stride

    def forward(self, x: Float[Tensor, "batch channels *places"]) -> Float[Tensor, "batch channels *wider"]:
        pads: list[int] = []
        for length in reversed(x.shape[2:]):
            more = max((-(-length // self.stride) - 1) * self.stride + self.reach - length, 0)
            pads += [more // 2, more - more // 2]
        return functional.pad(x, pads)


CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
"""By how many axes of places there are."""


class Residual(nn.Module):
    """activation(body(x) + shortcut(x)) (He et al. 2016, eq. 1 and 2).

    Args:
        body: the branch that learns the difference.
        shortcut: brings x to the body's shape; x itself if None.
        activation: after the sum.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, activation: nn.Module | None = None):
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *out"]:
        y = self.body(x) + (x if self.shortcut is None else self.shortcut(x))
        return y if self.activation is None else self.activation(y)


def residual_block(
    in_channels: int, channels: int, stride: int, norm: Norm, activation: nn.Module | None = None, axes: int = 2
) -> Residual:
    """Two 3×3 convolutions and a shortcut, which is a 1×1 convolution where the shape changes (He et al. 2016,
    figure 2, option B)."""
    activation = ReLU() if activation is None else activation
    first = ConvBlock(in_channels, channels, 3, stride, norm, activation, axes=axes)
    second = ConvBlock(channels, channels, 3, 1, norm, axes=axes)
    shortcut = _shortcut(in_channels, channels, stride, norm, axes)
    return Residual(nn.Sequential(first, second), shortcut, each(activation))


def bottleneck_block(
    in_channels: int,
    channels: int,
    stride: int,
    norm: Norm,
    activation: nn.Module | None = None,
    axes: int = 2,
    narrow: int = 4,
) -> Residual:
    """A 1×1 convolution to fewer channels, a 3×3 one among them, a 1×1 one back (He et al. 2016, figure 5); the stride
    stands in the middle, as in the networks that are used today.

    Args:
        narrow: how many times fewer.
    """
    activation = ReLU() if activation is None else activation
    width = channels // narrow
    body = nn.Sequential(
        ConvBlock(in_channels, width, 1, 1, norm, activation, axes=axes),
        ConvBlock(width, width, 3, stride, norm, activation, axes=axes),
        ConvBlock(width, channels, 1, 1, norm, axes=axes),
    )
    return Residual(body, _shortcut(in_channels, channels, stride, norm, axes), each(activation))


def _shortcut(in_channels: int, channels: int, stride: int, norm: Norm, axes: int) -> ConvBlock | None:
    changes = stride != 1 or in_channels != channels
    return ConvBlock(in_channels, channels, 1, stride, norm, axes=axes) if changes else None


def _halves(activation: nn.Module | None, dims: tuple[int, ...], words: str) -> int:
    """2 where the activation halves its input along one of these axes, 1 where it keeps the shape."""
    if not isinstance(activation, Gated):
        return 1
    if activation.dim not in dims:
        raise ValueError(f"the gate halves axis {activation.dim}, but {words}")
    return 2

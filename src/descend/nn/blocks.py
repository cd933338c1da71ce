"""Blocks that networks are built from.

An activation given to a block is a template: one that keeps parameters is copied for every layer, and the template
itself stays beside the modules, so that its own parameters are no part of the network. A gated one halves what it is
given, so the map before it is made twice as wide.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

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
    """Convolution without bias, norm, activation: [batch, in_channels, h, w] to [batch, channels, h/stride, w/stride],
    rounded up.

    Args:
        in_channels, channels: in and out.
        kernel: height and width of the filters, odd.
        stride: places between two of them.
        norm: a description of one for two axes of places.
        activation: made anew where it has parameters; none if None.

    Raises:
        ValueError: the kernel is even, or the norm or the gate is none for pictures.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        norm: Norm = BatchNorm(),
        activation: nn.Module | None = None,
    ):
        if kernel % 2 == 0:
            raise ValueError(
                f"ConvBlock: a kernel of {kernel} has no middle; give an odd one, {kernel - 1} or {kernel + 1}"
            )
        if not norm.suits(2):
            raise ValueError(
                f"ConvBlock: {norm} does not normalise the channels of [batch, channels, height, width]: give "
                "BatchNorm(), GroupNorm(), InstanceNorm(), or GroupNorm(1) for a layer norm of the whole picture"
            )
        wide = channels * _halves(activation, (1, -3), "a picture's channels are axis 1: Gated(…, dim=1)")
        # The norm's own shift follows at once, so a bias would do nothing.
        layers = [nn.Conv2d(in_channels, wide, kernel, stride, kernel // 2, bias=False), norm(wide)]
        super().__init__(*layers, *([] if activation is None else [each(activation)]))
        self.in_channels = in_channels
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.norm = norm
        vars(self)["activation"] = activation


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
    in_channels: int, channels: int, stride: int, norm: Norm, activation: nn.Module | None = None
) -> Residual:
    """Two 3×3 convolutions and a shortcut, which is a 1×1 convolution where the shape changes (He et al. 2016,
    figure 2, option B)."""
    activation = ReLU() if activation is None else activation
    first = ConvBlock(in_channels, channels, 3, stride, norm, activation)
    second = ConvBlock(channels, channels, 3, 1, norm)
    changes = stride != 1 or in_channels != channels
    shortcut = ConvBlock(in_channels, channels, 1, stride, norm) if changes else None
    return Residual(nn.Sequential(first, second), shortcut, each(activation))


def _halves(activation: nn.Module | None, dims: tuple[int, ...], words: str) -> int:
    """2 where the activation halves its input along one of these axes, 1 where it keeps the shape."""
    if not isinstance(activation, Gated):
        return 1
    if activation.dim not in dims:
        raise ValueError(f"the gate halves axis {activation.dim}, but {words}")
    return 2

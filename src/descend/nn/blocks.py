"""Blocks that networks are built from."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from descend.nn.activations import ReLU, each
from descend.nn.norms import BatchNorm, Norm


class LinearBlock(nn.Sequential):
    """Linear, norm, activation, dropout: [*, features] to [*, width].

    Args:
        features, width: in and out.
        activation: made anew where it has parameters.
        norm: a description; none if None.
        dropout: probability, 0 ≤ p < 1.
    """

    def __init__(
        self, features: int, width: int, activation: nn.Module, norm: Norm | None = None, dropout: float = 0.0
    ):
        layers: list[nn.Module] = [nn.Linear(features, width)]
        layers += [norm(width)] if norm else []
        layers.append(each(activation))
        layers += [nn.Dropout(dropout)] if dropout else []
        super().__init__(*layers)


class ConvBlock(nn.Sequential):
    """Convolution without bias, norm, activation: [batch, in_channels, h, w] to [batch, channels, h/stride, w/stride].

    Args:
        activation: none if None.
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
        # The norm's own shift follows at once, so a bias would do nothing.
        layers = [nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False), norm(channels)]
        super().__init__(*layers, *([each(activation)] if activation else []))


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
    activation = activation or ReLU()
    first = ConvBlock(in_channels, channels, 3, stride, norm, activation)
    second = ConvBlock(channels, channels, 3, 1, norm)
    changes = stride != 1 or in_channels != channels
    shortcut = ConvBlock(in_channels, channels, 1, stride, norm) if changes else None
    return Residual(nn.Sequential(first, second), shortcut, each(activation))

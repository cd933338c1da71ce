"""From a picture to a grid of tokens: [batch, channels, height, width] to [batch, width, rows, columns]."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from descend.nn.activations import ReLU
from descend.nn.blocks import ConvBlock
from descend.nn.norms import BatchNorm, Norm


class PatchEmbed(nn.Module):
    """One linear map of each square of pixels (Dosovitskiy et al. 2021, section 3.1).

    Args:
        channels: of the picture.
        width: of a token.
        patch: side of a square, in pixels.

    Raises:
        ValueError: patches do not tile the picture.
    """

    def __init__(self, channels: int, width: int, patch: int):
        super().__init__()
        self.channels = channels
        self.width = width
        self.patch = patch
        self.map = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch tokens rows columns"]:
        refuse_uneven(x, self.patch, "PatchEmbed")
        return self.map(x)


class ConvStem(nn.Module):
    """Convolutions that halve the picture until a place is a token, and a linear map (Xiao et al. 2021, "Early
    convolutions help transformers see better", section 5.1).

    Args:
        channels: of the picture.
        width: of a token.
        widths: channels behind each halving.
        norm: behind each convolution.
        depth: convolutions of each size; the last of them halves it.

    Raises:
        ValueError: the picture cannot be halved so often.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        widths: tuple[int, ...] = (32, 64),
        norm: Norm = BatchNorm(),
        depth: int = 1,
    ):
        super().__init__()
        self.channels = channels
        self.width = width
        self.widths = widths
        self.norm = norm
        self.depth = depth
        self.body = nn.Sequential(
            *(
                ConvBlock(after if place else before, after, 3, 2 if place == depth - 1 else 1, norm, ReLU())
                for before, after in zip((channels, *widths), widths, strict=False)
                for place in range(depth)
            )
        )
        self.map = nn.Conv2d(widths[-1], width, 1)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch tokens rows columns"]:
        refuse_uneven(x, 2 ** len(self.widths), "ConvStem")
        return self.map(self.body(x))


def refuse_uneven(x: Tensor, step: int, who: str) -> None:
    """Raises: ValueError: a side of the picture is no multiple of the step."""
    height, width = x.shape[-2:]
    if height % step or width % step:
        near = [max(step, round(side / step) * step) for side in (height, width)]
        raise ValueError(
            f"{who}: pictures of {height}×{width} are not made of squares of {step}×{step}: scale or pad them to "
            f"{near[0]}×{near[1]}"
        )

"""U-Net (Ronneberger et al. 2015): down to see what, up again to say where, each size handing its map across.

With three axes it reads volumes (Çiçek et al. 2016). Convolutions keep the size, where the paper's lose a border.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import BatchNorm, ConvBlock, He, Norm, ReLU, UpBlock, initialise, initialise_head

_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_LAST = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class UNet(nn.Module):
    """A number a class at each place.

    Args:
        channels: of the picture.
        classes: numbers that come out at each place.
        widths: channels of each size, from the full one down.
        norm: behind every convolution, for as many axes.
        axes: of places: 2 (pictures), 3 (volumes).
        dropout: of whole channels at the bottom, 0 ≤ p < 1.

    Raises:
        ValueError: the picture cannot be halved so often.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        widths: tuple[int, ...] = (32, 64, 128, 256),
        norm: Norm = BatchNorm(),
        axes: int = 2,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.channels = channels
        self.classes = classes
        self.widths = widths
        self.norm = norm
        self.axes = axes
        self.dropout = dropout
        self.down = nn.ModuleList(
            nn.Sequential(
                ConvBlock(before, width, 3, 1, norm, ReLU(), axes=axes),
                ConvBlock(width, width, 3, 1, norm, ReLU(), axes=axes),
            )
            for before, width in zip((channels, *widths), widths, strict=False)
        )
        self.pool = _POOL[axes](2)
        self.drop = nn.Dropout2d(dropout) if axes == 2 else nn.Dropout3d(dropout)
        self.up = nn.ModuleList(
            UpBlock(below, width, width, norm, ReLU(), axes) for below, width in pairwise(reversed(widths))
        )
        self.head = _LAST[axes](widths[0], classes, 1)
        # He et al. 2015 for the ReLUs, as the paper. A much smaller head would learn so slowly that a rare class stays
        # under ½ for hundreds of steps.
        initialise(self, He())
        initialise_head(self.head)
        if axes == 2:
            # Channels lie last in memory: the same numbers, and convolutions run faster.
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "batch channels *places"]) -> Float[Tensor, "batch classes *places"]:
        step = 2 ** (len(self.widths) - 1)
        if any(side % step for side in x.shape[2:]):
            sides = "×".join(str(side) for side in x.shape[2:])
            near = "×".join(str(max(step, round(side / step) * step)) for side in x.shape[2:])
            raise ValueError(
                f"UNet: {sides} cannot be halved {len(self.widths) - 1} times: scale or pad the pictures to {near}"
            )
        sides = []
        for number, block in enumerate(self.down):
            x = block(self.pool(x) if number else x)
            sides.append(x)
        x = self.drop(sides.pop())
        for block in self.up:
            x = block(x, sides.pop())
        return self.head(x)

"""Networks that make a damaged picture whole, and one that tells restored pictures from real ones.

The former learn a difference only, to the picture itself or to its cubic enlargement, and take pictures of any size.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from descend.functional import bicubic
from descend.nn import BatchNorm, ConvBlock, GroupNorm, He, LeakyReLU, Norm, ReLU, Residual, initialise


class DnCNN(nn.Module):
    """x - body(x): convolutions that find the noise (Zhang et al. 2017, "Beyond a Gaussian denoiser", figure 1).

    As published, with 17 convolutions, it reaches 29.23 dB on BSD68 at σ = 25, learned from 400 photos. With ``fold``
    above 1 its convolutions see the picture's fold × fold interleaved parts as channels (Zhang et al. 2018, "FFDNet"):
    fold² times cheaper, and fold times as far.

    Args:
        channels: of the picture.
        width: channels of the layers between.
        depth: convolutions in all, 2 or more.
        norm: behind all convolutions but the first and the last.
        fold: rows and columns of a picture that become one; a picture whose sides are no multiples of it is padded.
    """

    def __init__(self, channels: int = 1, width: int = 64, depth: int = 17, norm: Norm = BatchNorm(), fold: int = 1):
        super().__init__()
        self.channels = channels
        self.width = width
        self.depth = depth
        self.norm = norm
        self.fold = fold
        parts = channels * fold**2
        self.body = nn.Sequential(
            nn.Conv2d(parts, width, 3, padding=1),
            ReLU(),
            *(ConvBlock(width, width, 3, 1, norm, ReLU()) for _ in range(depth - 2)),
        )
        self.head = nn.Conv2d(width, parts, 3, padding=1)
        # He et al. 2015 for the ReLUs, as the paper; the head small, so that at first nothing is changed.
        initialise(self, He())
        nn.init.normal_(self.head.weight, std=1e-3)
        # Channels lie last in memory: the same numbers, and convolutions run faster.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        height, width = x.shape[2:]
        noise = self.head(self.body(folded(x, self.fold)))
        return x - functional.pixel_shuffle(noise, self.fold)[:, :, :height, :width]


class EDSR(nn.Module):
    """A picture and what residual blocks add to it; or its cubic enlargement, ``scale`` times as high and wide.

    The blocks have no norms, which would take a picture's contrast away (Lim et al. 2017, "Enhanced deep residual
    networks", section 3.1); they work at the small size, and the last layer's channels become pixels (Shi et al. 2016).

    Args:
        channels: of the picture.
        scale: 1 (damage at the size that is asked for) or more.
        width: channels of the blocks.
        depth: how many blocks.
        fold: as in `DnCNN`.
    """

    def __init__(self, channels: int = 3, scale: int = 2, width: int = 64, depth: int = 16, fold: int = 1):
        super().__init__()
        self.channels = channels
        self.scale = scale
        self.width = width
        self.depth = depth
        self.fold = fold
        self.first = nn.Conv2d(channels * fold**2, width, 3, padding=1)
        convolutions = [[nn.Conv2d(width, width, 3, padding=1) for _ in range(2)] for _ in range(depth)]
        self.blocks = nn.Sequential(*(Residual(nn.Sequential(one, ReLU(), two)) for one, two in convolutions))
        self.head = nn.Conv2d(width, channels * (scale * fold) ** 2, 3, padding=1)
        # He et al. 2015 for the ReLUs; the second convolution of a block scaled down, so that the sum of all branches
        # is as large as what they are added to; the head small, so that at first next to nothing is added.
        initialise(self, He())
        for _, second in convolutions:
            second.weight.data.mul_(depth**-0.5)
        nn.init.normal_(self.head.weight, std=1e-3)
        # Channels lie last in memory: the same numbers, and convolutions run faster.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels rows columns"]:
        height, width = (self.scale * side for side in x.shape[2:])
        first = self.first(folded(x, self.fold))
        added = functional.pixel_shuffle(self.head(first + self.blocks(first)), self.scale * self.fold)
        return (x if self.scale == 1 else bicubic(x, height, width)) + added[:, :, :height, :width]


class PatchCritic(nn.Module):
    """A logit for each part of a picture, the higher the more real it looks (Isola et al. 2017, section 3.2.2): each
    layer halves the picture, so that a logit sees a part that is some 2^layers · 4 pixels wide.

    Args:
        channels: of the picture.
        widths: channels of the layers.
        norm: behind all of them but the first; one that keeps samples apart.
    """

    def __init__(self, channels: int = 3, widths: tuple[int, ...] = (64, 128, 256), norm: Norm = GroupNorm()):
        super().__init__()
        self.channels = channels
        self.widths = widths
        self.norm = norm
        self.body = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3, 2, 1),
            LeakyReLU(0.2),
            *(ConvBlock(before, width, 3, 2, norm, LeakyReLU(0.2)) for before, width in pairwise(widths)),
        )
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)
        # He et al. 2015 for the leaky ReLUs; the head small, so that at first nothing is told apart.
        initialise(self, He(0.2))
        nn.init.normal_(self.head.weight, std=1e-2)
        # Channels lie last in memory: the same numbers, and convolutions run faster.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch 1 rows columns"]:
        return self.head(self.body(x))


def folded(x: Float[Tensor, "batch channels height width"], fold: int) -> Float[Tensor, "batch parts rows columns"]:
    """The fold × fold interleaved parts of a picture as channels; what is no multiple of ``fold`` repeats its edge."""
    height, width = x.shape[2:]
    padded = functional.pad(x, (0, -width % fold, 0, -height % fold), mode="replicate")
    return functional.pixel_unshuffle(padded, fold)

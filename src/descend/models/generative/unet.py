"""A U-Net that sees through noise: what Ho et al. 2020 ("Denoising diffusion probabilistic models") took, with the
shifts and scales of Dhariwal and Nichol 2021 (section 3.1), attention at the coarsest sizes, and words to ask there."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from descend.models.generative.conditions import Kept, TimeEmbedding, Words
from descend.nn import Attention, FeedForward, GroupNorm, LeCun, Norm, SiLU, TransformerBlock, initialise


class TimedBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x))))·(1 + scale) + shift)), with scale and shift from a vector.

    Args:
        in_channels, channels: in and out.
        width: of the vector.
        norm: of both.
        dropout: before the second convolution.
    """

    def __init__(self, in_channels: int, channels: int, width: int, norm: Norm = GroupNorm(8), dropout: float = 0.0):
        super().__init__()
        self.in_channels = in_channels
        self.channels = channels
        self.width = width
        self.norm = norm
        self.dropout = dropout
        self.first = nn.Sequential(norm(in_channels), SiLU(), nn.Conv2d(in_channels, channels, 3, padding=1))
        self.told = nn.Sequential(SiLU(), nn.Linear(width, 2 * channels))
        self.normalise = norm(channels)
        self.second = nn.Sequential(SiLU(), nn.Dropout(dropout), nn.Conv2d(channels, channels, 3, padding=1))
        self.across = nn.Conv2d(in_channels, channels, 1) if in_channels != channels else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch in_channels height width"], vector: Float[Tensor, "batch told"]
    ) -> Float[Tensor, "batch channels height width"]:
        scale, shift = self.told(vector)[:, :, None, None].chunk(2, 1)
        return self.across(x) + self.second(self.normalise(self.first(x)) * (1 + scale) + shift)


class PlacesBlock(nn.Module):
    """A transformer block whose tokens are a map's places, which may ask words too.

    Args:
        channels: of the map.
        heads: of attention.
        context_width: of the words; no words if None.
    """

    def __init__(self, channels: int, heads: int, context_width: int | None = None):
        super().__init__()
        self.channels = channels
        self.heads = heads
        self.context_width = context_width
        cross = None if context_width is None else Attention(channels, heads, context_width)
        self.block = TransformerBlock(Attention(channels, heads), FeedForward(channels, 2 * channels), cross)

    def forward(
        self, x: Float[Tensor, "batch channels height width"], words: Words | None = None, kept: Kept | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        mask = None if kept is None else kept[:, None, None]
        return self.block(x.flatten(2).mT, words, context_mask=mask).mT.reshape(x.shape)


class DenoisingUNet(nn.Module):
    """Says of a noisy picture, and of how noisy it is, what is to be taken away: as many numbers as the picture has.

    >>> network = DenoisingUNet(1, (64, 128), fold=2, attention=1)
    >>> out = network(x, time, vector)                   # [batch, 1, 28, 28], [batch], [batch, 256]

    Args:
        channels: of the picture.
        widths: channels of each size, from the full one down.
        blocks: of each size, on the way down; one more on the way up.
        attention: how many of the coarsest sizes have it behind each block.
        heads: of attention.
        context_width: of the words that may be asked; none if None.
        fold: squares of so many pixels a side become one place of as many numbers (Shi et al. 2016), to save time.
        dropout: in the blocks.

    Raises:
        ValueError: the picture cannot be folded and halved so often.

    Attributes:
        width: of the vector that tells what is asked for.
    """

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...] = (64, 128, 256),
        blocks: int = 1,
        attention: int = 1,
        heads: int = 4,
        context_width: int | None = None,
        fold: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.channels = channels
        self.widths = widths
        self.blocks = blocks
        self.attention = attention
        self.heads = heads
        self.context_width = context_width
        self.fold = fold
        self.dropout = dropout
        self.width = 4 * widths[0]
        self.time = TimeEmbedding(self.width)
        self.stem = nn.Conv2d(channels * fold**2, widths[0], 3, padding=1)

        def stage(in_channels: int, channels: int, size: int) -> nn.ModuleList:
            places = size >= len(widths) - attention
            parts: list[nn.Module] = [TimedBlock(in_channels, channels, self.width, dropout=dropout)]
            return nn.ModuleList(parts + [PlacesBlock(channels, heads, context_width)] * places)

        kept = [widths[0]]
        self.down = nn.ModuleList()
        before = widths[0]
        for size, channels in enumerate(widths):
            stages = nn.ModuleList()
            for _ in range(blocks):
                stages.append(stage(before, channels, size))
                before = channels
                kept.append(before)
            self.down.append(stages)
            if size + 1 < len(widths):
                kept.append(before)
        self.smaller = nn.ModuleList(nn.Conv2d(width, width, 3, 2, padding=1) for width in widths[:-1])
        self.middle = stage(before, before, len(widths))
        self.up = nn.ModuleList()
        for size, channels in reversed(list(enumerate(widths))):
            stages = nn.ModuleList()
            for _ in range(blocks + 1):
                stages.append(stage(before + kept.pop(), channels, size))
                before = channels
            self.up.append(stages)
            before = widths[max(size - 1, 0)]
        self.larger = nn.ModuleList(
            nn.Conv2d(wide, narrow, 3, padding=1) for narrow, wide in reversed(list(pairwise(widths)))
        )
        self.last = nn.Sequential(GroupNorm(8)(before), SiLU())
        self.head = nn.Conv2d(before, self.channels * fold**2, 3, padding=1)
        # LeCun et al. 1998, as fits norms before every map; all that a block adds, and the answer, begins at 0, so that
        # at first every block hands on what it is given (Ho et al. 2020).
        initialise(self, LeCun())
        for module in self.modules():
            if isinstance(module, TimedBlock):
                nn.init.zeros_(module.second[-1].weight)  # type: ignore[arg-type]
            elif isinstance(module, Attention):
                nn.init.zeros_(module.out.weight)
            elif isinstance(module, FeedForward):
                nn.init.zeros_(module[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head.weight)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        time: Float[Tensor, "batch"],
        vector: Float[Tensor, "batch told"] | None = None,
        words: Words | None = None,
        kept: Kept | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        step = self.fold * 2 ** (len(self.widths) - 1)
        if x.shape[1] != self.channels or any(side % step for side in x.shape[2:]):
            raise ValueError(
                f"DenoisingUNet: {x.shape[1]} channels of {x.shape[3]}×{x.shape[2]} came in; it takes {self.channels}, "
                f"of sides that {step} divides: scale or pad the pictures"
            )
        told = self.time(time)
        told = told if vector is None else told + vector
        x = self.stem(functional.pixel_unshuffle(x, self.fold))
        sides = [x]
        for size, stages in enumerate(self.down):
            for stage in stages:  # type: ignore[union-attr]
                x = _through(stage, x, told, words, kept)
                sides.append(x)
            if size < len(self.smaller):
                x = self.smaller[size](x)
                sides.append(x)
        x = _through(self.middle, x, told, words, kept)
        for size, stages in enumerate(self.up):
            for stage in stages:  # type: ignore[union-attr]
                x = _through(stage, torch.cat([x, sides.pop()], 1), told, words, kept)
            if size < len(self.larger):
                x = self.larger[size](functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return functional.pixel_shuffle(self.head(self.last(x)), self.fold)


def _through(stage: nn.ModuleList, x: Tensor, told: Tensor, words: Words | None, kept: Kept | None) -> Tensor:
    x = stage[0](x, told)
    return stage[1](x, words, kept) if len(stage) > 1 else x

"""Vision Transformers (Dosovitskiy et al. 2021, "An image is worth 16×16 words"): a picture as a sequence of patches.

The stem, the positions, what is read at the end and the place of the norms are objects; further tokens that belong to
no place, registers, take up what the network wants to remember (Darcet et al. 2024).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import (
    Attention,
    ConvStem,
    FeedForward,
    LayerNorm,
    LearnedGrid,
    Order,
    PatchEmbed,
    PreNorm,
    SinusoidalGrid,
    TransformerBlock,
    TruncatedNormal,
    initialise,
    initialise_head,
)


class Read(ABC):
    """What a picture's answer is read from.

    Attributes:
        tokens: how many the sequence gets for it.
    """

    tokens: int

    @abstractmethod
    def __call__(self, x: Float[Tensor, "batch time width"], first: int) -> Float[Tensor, "batch width"]:
        """Args: first: of the tokens that are places."""


@dataclass(frozen=True)
class ClassToken(Read):
    """From a token of its own, the first (Devlin et al. 2019; the paper's way)."""

    tokens = 1

    def __call__(self, x: Tensor, first: int) -> Tensor:
        return x[:, 0]


@dataclass(frozen=True)
class MeanToken(Read):
    """From the mean over places, which needs none (Beyer et al. 2022, "Better plain ViT baselines")."""

    tokens = 0

    def __call__(self, x: Tensor, first: int) -> Tensor:
        return x[:, first:].mean(1)


class ViT(nn.Module):
    """Patches, positions, transformer blocks, a linear head.

    >>> vit = ViT(PatchEmbed(3, 192, 4), 10, LearnedGrid(192, 8, 8), depth=9, heads=3)

    Args:
        stem: makes a grid of tokens of ``stem.width`` channels: `PatchEmbed`, `ConvStem`.
        classes: numbers that come out.
        position: adds to the grid where a token stands: `LearnedGrid`, `SinusoidalGrid`.
        depth: blocks.
        heads: of each attention.
        hidden: width of the network for each token; four times the stem's if None.
        read: `ClassToken` or `MeanToken`.
        registers: tokens more.
        order: where the norms stand, and which.
        dropout: of what each branch adds.
        drop_path: the last block's; earlier ones have less, the first none (Touvron et al. 2021).
    """

    def __init__(
        self,
        stem: PatchEmbed | ConvStem,
        classes: int,
        position: LearnedGrid | SinusoidalGrid,
        depth: int = 12,
        heads: int = 12,
        hidden: int | None = None,
        read: Read = MeanToken(),
        registers: int = 0,
        order: Order = PreNorm(LayerNorm(1e-6)),
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ):
        super().__init__()
        self.stem = stem
        self.classes = classes
        self.position = position
        self.depth = depth
        self.heads = heads
        self.hidden = hidden
        self.read = read
        self.registers = registers
        self.order = order
        self.dropout = dropout
        self.drop_path = drop_path
        width = stem.width
        extra = read.tokens + registers
        self.extra = nn.Parameter(torch.randn(1, extra, width) * 0.02) if extra else None
        self.blocks = nn.ModuleList(
            TransformerBlock(
                Attention(width, heads),
                FeedForward(width, hidden or 4 * width),
                order=order,
                dropout=dropout,
                drop_path=drop_path * number / max(depth - 1, 1),
            )
            for number in range(depth)
        )
        self.norm = order.last(width)
        self.head = nn.Linear(width, classes)
        # Small normal weights, as in the paper; then the stem's, which must not lose the picture at the start.
        initialise(self, TruncatedNormal())
        initialise_stem(stem)
        initialise_head(self.head)

    def features(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        """What the head reads."""
        # Laid out token by token: every map and norm behind reads it so.
        tokens, first = self.position(self.stem(x)).flatten(2).mT.contiguous(), 0
        if self.extra is not None:
            tokens, first = torch.cat([self.extra.expand(len(x), -1, -1), tokens], 1), self.extra.shape[1]
        for block in self.blocks:
            tokens = block(tokens)
        return self.read(self.norm(tokens), first)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.features(x))


def initialise_stem(stem: nn.Module) -> None:
    """Filters of a stem keep the size of what they read (LeCun et al. 1998)."""
    for module in stem.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)


def vit_tiny(channels: int = 3, classes: int = 1000, size: int = 224, patch: int = 16) -> ViT:
    """5.7 M parameters."""
    return _plain(channels, classes, size, patch, 192, 3)


def vit_small(channels: int = 3, classes: int = 1000, size: int = 224, patch: int = 16) -> ViT:
    """22 M parameters."""
    return _plain(channels, classes, size, patch, 384, 6)


def vit_base(channels: int = 3, classes: int = 1000, size: int = 224, patch: int = 16) -> ViT:
    """86 M parameters; the paper's ViT-B."""
    return _plain(channels, classes, size, patch, 768, 12)


def _plain(channels: int, classes: int, size: int, patch: int, width: int, heads: int) -> ViT:
    side = size // patch
    stem = PatchEmbed(channels, width, patch)
    return ViT(stem, classes, LearnedGrid(width, side, side), 12, heads, read=ClassToken())

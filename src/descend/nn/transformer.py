"""Transformer blocks: attention, then a small network for each token, each added to what came in.

Where the norm stands is an object, made for each of the two by its width: `PreNorm` normalises what a branch reads,

    x ← x + f(norm(x))        (Xiong et al. 2020; trains deep stacks without warm-up, and wants one more norm behind),

`PostNorm` what it leaves:

    x ← norm(x + f(x))        (Vaswani et al. 2017; BERT).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.nn.activations import GELU, Gated, each
from descend.nn.attention import Attention, Cache
from descend.nn.dropout import DropPath
from descend.nn.norms import LayerNorm, Norm


class FeedForward(nn.Sequential):
    """Linear, activation, linear, for every token alone: [*, width] to [*, width].

    Args:
        width: in and out.
        hidden: between; a gated activation halves what it is given, so the first map is made twice as wide for it.
        activation: made anew where it has parameters.
        bias: whether the maps have one.
        dropout: between, 0 ≤ p < 1.
    """

    def __init__(
        self, width: int, hidden: int, activation: nn.Module = GELU(), bias: bool = True, dropout: float = 0.0
    ):
        wide = 2 * hidden if isinstance(activation, Gated) else hidden
        layers: list[nn.Module] = [nn.Linear(width, wide, bias), each(activation)]
        layers += [nn.Dropout(dropout)] if dropout else []
        super().__init__(*layers, nn.Linear(hidden, width, bias))
        self.width = width
        self.hidden = hidden
        vars(self)["activation"] = activation
        self.bias = bias
        self.dropout = dropout


class Branch(nn.Module):
    """One addition of a block, with the norm before or behind it.

    Args:
        width: of a token.
        norm: made for that width.
        before: normalise what is read, not what is left.
        scale: a learned factor a channel, which starts at this (Touvron et al. 2021, "LayerScale"); none if None.
        dropout: of what is added, number by number.
        drop_path: of what is added, sample by sample.
    """

    def __init__(
        self,
        width: int,
        norm: Norm,
        before: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ):
        super().__init__()
        self.width = width
        self.norm = norm
        self.before = before
        self.scale = scale
        self.dropout = dropout
        self.drop_path = drop_path
        self.normalise = norm(width)
        self.factor = None if scale is None else nn.Parameter(torch.full((width,), scale))
        self.drop = nn.Sequential(*[nn.Dropout(dropout)][: bool(dropout)], *[DropPath(drop_path)][: bool(drop_path)])

    def forward(
        self, x: Float[Tensor, "batch time width"], inner: Callable[..., Tensor], *args: Any
    ) -> Float[Tensor, "batch time width"]:
        """Args: inner: the branch; args: what it is given besides."""
        y = inner(self.normalise(x) if self.before else x, *args)
        y = x + self.drop(y if self.factor is None else self.factor * y)
        return y if self.before else self.normalise(y)


class Order(ABC):
    """Where the norms of a block stand: ``order(width, dropout, drop_path)`` makes a branch."""

    norm: Norm

    @abstractmethod
    def __call__(self, width: int, dropout: float = 0.0, drop_path: float = 0.0) -> Branch: ...

    @abstractmethod
    def last(self, width: int) -> nn.Module:
        """What stands behind a stack of blocks."""


@dataclass(frozen=True)
class PreNorm(Order):
    """Args: norm: of what a branch reads; scale: as in `Branch`."""

    norm: Norm = LayerNorm()
    scale: float | None = None

    def __call__(self, width: int, dropout: float = 0.0, drop_path: float = 0.0) -> Branch:
        return Branch(width, self.norm, True, self.scale, dropout, drop_path)

    def last(self, width: int) -> nn.Module:
        return self.norm(width)


@dataclass(frozen=True)
class PostNorm(Order):
    """Args: norm: of what a branch leaves."""

    norm: Norm = LayerNorm()

    def __call__(self, width: int, dropout: float = 0.0, drop_path: float = 0.0) -> Branch:
        return Branch(width, self.norm, False, None, dropout, drop_path)

    def last(self, width: int) -> nn.Module:
        return nn.Identity()


class TransformerBlock(nn.Module):
    """Attention to itself, attention to a context where there is one, and a network for each token.

    >>> block = TransformerBlock(Attention(64, 4), FeedForward(64, 256))
    >>> block = TransformerBlock(Attention(64, 4, causal=True), FeedForward(64, 256), cross=Attention(64, 4))

    Args:
        attention: of the sequence to itself.
        feed: the network for each token.
        cross: attention to a context.
        order: where the norms stand, and which.
        dropout: of what each branch adds.
        drop_path: the probability that a branch is left out for a sample (Huang et al. 2016).
    """

    def __init__(
        self,
        attention: Attention,
        feed: nn.Module,
        cross: Attention | None = None,
        order: Order = PreNorm(),
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ):
        super().__init__()
        self.attention = attention
        self.feed = feed
        self.cross = cross
        self.order = order
        self.dropout = dropout
        self.drop_path = drop_path
        branches = 2 if cross is None else 3
        self.branches = nn.ModuleList(order(attention.width, dropout, drop_path) for _ in range(branches))

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        context: Float[Tensor, "batch places context_width"] | None = None,
        mask: Tensor | None = None,
        context_mask: Tensor | None = None,
        place: Float[Tensor, "#batch time width"] | None = None,
        context_place: Float[Tensor, "#batch places context_width"] | None = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """Args: who may be asked, and where the tokens stand, of the sequence and of the context; what was seen already
        (`Attention`)."""
        x = self.branches[0](x, self.attention, None, mask, place, None, cache)
        if self.cross is not None:
            x = self.branches[1](x, self.cross, context, context_mask, place, context_place, cache)
        return self.branches[-1](x, self.feed)

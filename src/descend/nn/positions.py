"""Where a token stands: attention alone sees a set. Some positions are added to the tokens, some act inside attention.

| name | what it does | source |
|---|---|---|
| `LearnedPositions` | adds a learned vector a place | Gehring et al. 2017 |
| `SinusoidalPositions` | adds sin(t/λ), cos(t/λ), the wavelengths growing geometrically | Vaswani et al. 2017 |
| `LearnedGrid` | adds a learned vector a place of a grid, interpolated for other grids | Dosovitskiy et al. 2021 |
| `SinusoidalGrid` | half of the width tells the row, half the column | Carion et al. 2020 |
| `Rotary` | turns queries and keys, so that their product knows the distance | Su et al. 2021 |
| `RelativeBias` | adds a learned number a head and distance to the scores | Raffel et al. 2020 |

The first two take sequences [batch, time, width], the next two grids [batch, width, rows, columns]. The last two are
given to `Attention`: they turn queries and keys, or say what is to be added to their scores. Sequences begin at place
0, or each at its own ``start``, where tokens before them were seen already (`Cache`).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional

Start = Int[Tensor, "batch"] | None


class LearnedPositions(nn.Module):
    """x_t + p_t.

    Args:
        length: the most places a sequence may have.
        width: of a token.

    Raises:
        ValueError: a sequence is longer.
    """

    def __init__(self, length: int, width: int):
        super().__init__()
        self.length = length
        self.width = width
        # Small beside the tokens, as in BERT and GPT: what stands there matters more at first than where.
        self.table = nn.Parameter(torch.randn(1, length, width) * 0.02)

    def forward(self, x: Float[Tensor, "batch time width"], start: Start = None) -> Float[Tensor, "batch time width"]:
        if x.shape[1] > self.length:
            raise ValueError(
                f"LearnedPositions: {x.shape[1]} tokens, but places were learned for {self.length}: give shorter "
                "sequences, or build the network with a greater length"
            )
        return x + (self.table[:, : x.shape[1]] if start is None else self.table[0, _places(x.shape[1], start)])


def check_room(position: nn.Module, room: int) -> None:
    """Raises: ValueError: places were learned for fewer tokens than are to be told."""
    if isinstance(position, LearnedPositions) and room > position.length:
        raise ValueError(
            f"{room} tokens are to be told, and places were learned for {position.length}: tell fewer, or build the "
            "network with a greater length"
        )


class SinusoidalPositions(nn.Module):
    """x_t + [sin(t·f₀), cos(t·f₀), sin(t·f₁), …] with f_i = base^(-2i/width) (Vaswani et al. 2017, section 3.5).

    Args:
        width: of a token, even.
        base: the longest wavelength over 2π.
        apart: all sines before all cosines, as the first published code had it.
    """

    def __init__(self, width: int, base: float = 10000.0, apart: bool = False):
        super().__init__()
        _even("SinusoidalPositions", width, 2)
        self.width = width
        self.base = base
        self.apart = apart

    def forward(self, x: Float[Tensor, "batch time width"], start: Start = None) -> Float[Tensor, "batch time width"]:
        places = torch.arange(x.shape[1], device=x.device) if start is None else _places(x.shape[1], start)
        waves = sinusoid(places, self.width, self.base)
        waves = torch.cat([waves[..., 0::2], waves[..., 1::2]], -1) if self.apart else waves
        return x + waves.to(x.dtype)


class LearnedGrid(nn.Module):
    """x_rc + p_rc; for a grid of another size the learned one is interpolated (bicubic), as for finer pictures.

    Args:
        width: channels.
        rows, columns: of the grid that is learned.
    """

    def __init__(self, width: int, rows: int, columns: int):
        super().__init__()
        self.width = width
        self.rows = rows
        self.columns = columns
        self.table = nn.Parameter(torch.randn(1, width, rows, columns) * 0.02)

    def forward(self, x: Float[Tensor, "batch width rows columns"]) -> Float[Tensor, "batch width rows columns"]:
        if x.shape[2:] == self.table.shape[2:]:
            return x + self.table
        size = (x.shape[2], x.shape[3])
        return x + functional.interpolate(self.table, size, mode="bicubic", align_corners=False)


class SinusoidalGrid(nn.Module):
    """Sines and cosines of the row in one half of the channels, of the column in the other (Carion et al. 2020,
    appendix A.4).

    Args:
        width: channels, divisible by 4.
        base: the longest wavelength over 2π.
        span: the last row and the last column stand at this angle, the first ones at one place's share of it, whatever
            the size of the grid; places are counted from 0 if None. DETR takes 2π.
    """

    def __init__(self, width: int, base: float = 10000.0, span: float | None = None):
        super().__init__()
        _even("SinusoidalGrid", width, 4)
        self.width = width
        self.base = base
        self.span = span

    def forward(self, x: Float[Tensor, "batch width rows columns"]) -> Float[Tensor, "batch width rows columns"]:
        return x + self.grid(x)

    def grid(self, x: Float[Tensor, "batch _ rows columns"]) -> Float[Tensor, "width rows columns"]:
        """What is added to a grid of these rows and columns."""
        rows, columns = x.shape[2:]
        down, across = (sinusoid(self._places(n, x), self.width // 2, self.base).T for n in (rows, columns))
        grid = torch.cat([down[:, :, None].expand(-1, -1, columns), across[:, None].expand(-1, rows, -1)])
        return grid.to(x.dtype)

    def points(self, x: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape width"]:
        """What stands at points between the places: x and y as shares of the grid, 0 … 1. It needs a span."""
        if self.span is None:
            raise ValueError("SinusoidalGrid: points are shares of a span, and this grid has none; give span=…")
        down, across = (sinusoid(part * self.span, self.width // 2, self.base) for part in (y, x))
        return torch.cat([down, across], -1).to(x.dtype)

    def _places(self, length: int, x: Tensor) -> Tensor:
        places = torch.arange(length, device=x.device)
        return places if self.span is None else (places + 1) * (self.span / length)


class Relation(nn.Module):
    """Base of what acts inside attention: it turns queries and keys, or says what is added to their scores, or both."""

    def turned(
        self, x: Float[Tensor, "batch heads time width"], start: Start = None
    ) -> Float[Tensor, "batch heads time width"]:
        """Queries or keys as they are to be compared; by default as they are."""
        return x

    def added(self, queries: int, keys: int, start: Start = None) -> Float[Tensor, "#batch heads queries keys"] | None:
        """What is added to the scores; nothing by default. Keys stand at 0, 1, …, queries at start, start + 1, …"""
        return None


class Rotary(Relation):
    """Pairs of axes (i, i + width/2) turned by the angle t·f_i, with f_i = base^(-2i/width), so that the product of a
    query at s and a key at t depends on s - t alone (Su et al. 2021, eq. 34; the pairing of GPT-NeoX and Llama).

    Args:
        width: of a head, even.
        base: the longest wavelength over 2π.
    """

    def __init__(self, width: int, base: float = 10000.0):
        super().__init__()
        _even("Rotary", width, 2)
        self.width = width
        self.base = base

    def turned(
        self, x: Float[Tensor, "batch heads time width"], start: Start = None
    ) -> Float[Tensor, "batch heads time width"]:
        places = torch.arange(x.shape[2], device=x.device) if start is None else _places(x.shape[2], start)[:, None]
        wave = sinusoid(places, self.width, self.base).to(x.dtype)
        sine, cosine = wave[..., 0::2], wave[..., 1::2]
        first, second = x.chunk(2, 3)
        return torch.cat([first * cosine - second * sine, second * cosine + first * sine], 3)


class RelativeBias(Relation):
    """A learned number for each head and each distance; far distances share one, in buckets that grow as logarithms
    (Raffel et al. 2020, section 2.1).

    Args:
        heads: of the attention.
        buckets: of distances, half for what comes before and half for what comes after, each half even.
        farthest: distances from here on share a bucket; more than the distances that have a bucket each.
        both: look both ways; False gives all buckets to what comes before, for causal attention.
    """

    def __init__(self, heads: int, buckets: int = 32, farthest: int = 128, both: bool = True):
        super().__init__()
        _even("RelativeBias", buckets, 4 if both else 2)
        if farthest <= (near := buckets // (4 if both else 2)):
            raise ValueError(
                f"RelativeBias: farthest is {farthest}, but {near} distances have a bucket each: give more"
            )
        self.heads = heads
        self.buckets = buckets
        self.farthest = farthest
        self.both = both
        # Nothing is near or far at first.
        self.table = nn.Parameter(torch.zeros(buckets, heads))

    def added(self, queries: int, keys: int, start: Start = None) -> Float[Tensor, "#batch heads queries keys"]:
        device = self.table.device
        own = torch.arange(queries, device=device)[None] if start is None else _places(queries, start)
        distance = torch.arange(keys, device=device) - own[:, :, None]
        return self.table[self._bucket(distance)].movedim(3, 1)

    def _bucket(self, distance: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        half = self.buckets // 2 if self.both else self.buckets
        far = distance.abs() if self.both else (-distance).clamp(min=0)
        near = half // 2  # these have a bucket each
        growth = torch.log(far.clamp(min=1) / near) / math.log(self.farthest / near)
        logarithmic = (near + (growth * (half - near)).long()).clamp(max=half - 1)
        bucket = torch.where(far < near, far, logarithmic)
        return bucket + half * (distance > 0) if self.both else bucket


def sinusoid(places: Num[Tensor, "*shape"], width: int, base: float = 10000.0) -> Float[Tensor, "*shape width"]:
    """sin and cos, by turns, of places · base^(-2i/width)."""
    frequencies = base ** (-torch.arange(0, width, 2, device=places.device) / width)
    angles = places[..., None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def _places(length: int, start: Int[Tensor, "batch"]) -> Int[Tensor, "batch length"]:
    return start[:, None] + torch.arange(length, device=start.device)


def _even(name: str, number: int, by: int) -> None:
    if number % by or number <= 0:
        raise ValueError(f"{name}: {number} is not divisible by {by}; give {max(number // by, 1) * by}")

"""How a picture drowns in noise: x_t = signal_t·x₀ + noise_t·ε, from nearly all signal to nearly all noise.

| schedule | signal, noise | source |
|---|---|---|
| `LinearSchedule` | √ᾱ, √(1 - ᾱ), with ᾱ the product of 1 - β and β growing evenly | Ho et al. 2020, section 4 |
| `CosineSchedule` | the same, with ᾱ falling as cos² | Nichol and Dhariwal 2021, eq. 17 |
| `StraightSchedule` | 1 - t, t | Lipman et al. 2023; Liu et al. 2023 |
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Path(NamedTuple):
    """Signal and noise of some steps, each step's number, and the end of all noise behind them."""

    signal: list[float]
    noise: list[float]
    places: list[int]


@dataclass(frozen=True)
class Schedule(ABC):
    """Args: steps: of the whole way, each of which is taught."""

    steps: int = 1000

    @abstractmethod
    def signal(self) -> Float[Tensor, "steps"]:
        """What is left of the picture at each step, from 1 towards 0, float64."""

    @abstractmethod
    def noise(self) -> Float[Tensor, "steps"]:
        """The noise at each step, from 0 towards 1, float64."""

    def path(self, count: int, start: float = 1.0) -> Path:
        """So many steps of the way back, evenly spaced, the noisiest first and always taken (Lin et al. 2024, table 2,
        "trailing").

        Args: start: from which share of the way on; 1 is all noise.

        Raises:
            ValueError: there are more than were taught, fewer than one, or the start is none.
        """
        if not 0 < start <= 1:
            raise ValueError(f"the way back cannot start at {start}: give above 0, up to 1, which is all noise")
        most = max(1, round(self.steps * start))
        if not 1 <= count <= most:
            raise ValueError(f"{count} solver steps were asked for, and {most} were taught: give 1 … {most}")
        places = [round(most - most * step / count) - 1 for step in range(count)]
        signal, noise = self.signal()[places].tolist(), self.noise()[places].tolist()
        return Path([*signal, 1.0], [*noise, 0.0], places)


class _Kept(Schedule):
    """Whose noise grows as the signal falls, so that their squares sum to 1."""

    @abstractmethod
    def betas(self) -> Float[Tensor, "steps"]:
        """The share of variance that each step replaces by noise, float64."""

    def signal(self) -> Float[Tensor, "steps"]:
        return (1 - self.betas()).cumprod(0).sqrt()

    def noise(self) -> Float[Tensor, "steps"]:
        return (1 - (1 - self.betas()).cumprod(0)).sqrt()


MOST = 0.999
"""Of β, which would be 1 at last, and leave nothing of the picture (Nichol and Dhariwal 2021, section 3.2)."""


@dataclass(frozen=True)
class LinearSchedule(_Kept):
    """Args: first, last: of β, where there are 1,000 steps; where there are fewer, each replaces as much more."""

    first: float = 1e-4
    last: float = 0.02

    def betas(self) -> Float[Tensor, "steps"]:
        betas = torch.linspace(self.first, self.last, self.steps, dtype=torch.float64)
        return (betas * (1000 / self.steps)).clamp(max=MOST)


@dataclass(frozen=True)
class CosineSchedule(_Kept):
    """Args: offset: s, that keeps β from being too small at first."""

    offset: float = 0.008

    def betas(self) -> Float[Tensor, "steps"]:
        time = torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
        left = ((time + self.offset) / (1 + self.offset) * math.pi / 2).cos() ** 2
        return (1 - left[1:] / left[:-1]).clamp(max=MOST)


@dataclass(frozen=True)
class StraightSchedule(Schedule):
    """The straight way from picture to noise, as flow matching takes it."""

    def signal(self) -> Float[Tensor, "steps"]:
        return 1 - self.noise()

    def noise(self) -> Float[Tensor, "steps"]:
        return torch.arange(1, self.steps + 1, dtype=torch.float64) / self.steps

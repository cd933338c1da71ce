"""The way back from noise to a picture, by what a network thinks the picture is: one independent choice beside schedule
and objective.

| solver | order | source |
|---|---|---|
| `DDIM` | 1; random with eta above 0, and at 1 the ancestral way of Ho et al. 2020 | Song et al. 2021, eq. 12 and 16 |
| `Heun` | 2, two evaluations a step | Karras et al. 2022, algorithm 1 |
| `DPMSolver` | 2, one evaluation a step | Lu et al. 2022, "DPM-Solver++", algorithm 2 (2M) |
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from descend.tasks.generative.diffusion.schedules import Path

Thought = Callable[[Tensor, int], Tensor]
"""What the picture is thought to be, for a noisy one at a path's place."""
Draw = Callable[[int], Tensor]
"""Fresh standard normal numbers for a place."""


class Solver(ABC):
    @abstractmethod
    def steps(self, thought: Thought, x: Tensor, path: Path, draw: Draw) -> Iterator[Tensor]:
        """What is left of the noise behind each step; behind the last one there is none.

        Args:
            thought: the network.
            x: as noisy as the path's first step.
            path: signal and noise of each step, and of the end.
            draw: noise, for solvers that add some.
        """


@dataclass(frozen=True)
class DDIM(Solver):
    """Straight to what is thought, with as much of the same noise as the next step has; or with some of it drawn anew.

    Args: eta: how much, 0 (none) … 1 (as the ancestral way).
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"DDIM: eta is {self.eta}: give 0 (no fresh noise) … 1 (the ancestral way)")

    def steps(self, thought: Thought, x: Tensor, path: Path, draw: Draw) -> Iterator[Tensor]:
        for i in range(len(path.places)):
            signal, noise, next_signal, next_noise = _both(path, i)
            clean = thought(x, i)
            added = max(noise**2 - (signal / next_signal * next_noise) ** 2, 0)  # by the way from the next step to this
            fresh = self.eta * math.sqrt(added) * next_noise / noise
            x = next_signal * clean + math.sqrt(next_noise**2 - fresh**2) / noise * (x - signal * clean)
            if fresh:
                x = x + fresh * draw(i)
            yield x


def ancestral() -> DDIM:
    """Every step draws from what the noising could have been, given the picture (Ho et al. 2020, algorithm 2)."""
    return DDIM(eta=1.0)


@dataclass(frozen=True)
class Heun(Solver):
    """A step, a look at what is thought there, and the step again by the mean of both directions; the last one once.

    With y = x/(s + c·n) over τ = n/(s + c·n), the direction is ε - c·x₀: for c = 0 the way of Karras et al., for c = 1
    that of flow matching, which also starts where there is no signal at all.

    Args: straight: c, 0 … 1; 0 only for schedules that keep some signal to the end.
    """

    straight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.straight <= 1:
            raise ValueError(f"Heun: straight is {self.straight}: give 0 … 1")

    def steps(self, thought: Thought, x: Tensor, path: Path, draw: Draw) -> Iterator[Tensor]:
        if not self.straight and not path.signal[0]:
            raise ValueError("Heun: straight is 0, and the way begins without any signal: give above 0")
        for i in range(len(path.places)):
            signal, noise, next_signal, next_noise = _both(path, i)
            before, behind = signal + self.straight * noise, next_signal + self.straight * next_noise
            far = next_noise / behind - noise / before

            def direction(x: Tensor, place: int, signal: float, noise: float) -> Tensor:
                clean = thought(x, place)
                return (x - signal * clean) / noise - self.straight * clean

            first = direction(x, i, signal, noise)
            reached = behind * (x / before + far * first)
            if next_noise:
                second = direction(reached, i + 1, next_signal, next_noise)
                reached = behind * (x / before + far * (first + second) / 2)
            x = reached
            yield x


@dataclass(frozen=True)
class DPMSolver(Solver):
    """Goes by what is thought here and what was thought one step before, along λ = log(signal/noise). The first step,
    and the last one, where λ is endless, are DDIM's."""

    def steps(self, thought: Thought, x: Tensor, path: Path, draw: Draw) -> Iterator[Tensor]:
        before: Tensor | None = None
        last = 0.0  # how far the step before went
        for i in range(len(path.places)):
            signal, noise, next_signal, next_noise = _both(path, i)
            clean = thought(x, i)
            towards = clean
            if next_noise and signal:
                far = math.log(next_signal / next_noise) - math.log(signal / noise)
                if before is not None and last:
                    towards = clean + far / (2 * last) * (clean - before)
                last = far
            x = next_noise / noise * x + (next_signal - next_noise / noise * signal) * towards
            before = clean
            yield x


def _both(path: Path, i: int) -> tuple[float, float, float, float]:
    return path.signal[i], path.noise[i], path.signal[i + 1], path.noise[i + 1]

"""The learning rate as a function of where the run is.

A schedule is pure: ``schedule(progress, scores)`` gives the factor that multiplies the learning rate. ``progress`` runs
from 0 to 1 over the run and ``scores`` are the watched scores so far, lower being better. Nothing is counted between
calls, so a resumed run asks the same question and gets the same answer. Lengths are fractions of the run, so
a schedule fits a run of any length.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


class Schedule(ABC):
    """``schedule(progress, scores) -> factor``; progress in [0, 1], factor at least 0."""

    @abstractmethod
    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float: ...


@dataclass(frozen=True)
class Constant(Schedule):
    """Always 1."""

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        return 1.0


@dataclass(frozen=True)
class Step(Schedule):
    """``factor`` ^ ⌊progress / every⌋: a drop each time another ``every``-th of the run is over.

    Args:
        every: fraction of the run between drops, in (0, 1].
        factor: what one drop multiplies by, in (0, 1].
    """

    every: float = 1 / 3
    factor: float = 0.1

    def __post_init__(self) -> None:
        _positive(self, every=self.every, factor=self.factor)

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        # 0.3 / 0.1 is a hair below 3 in binary; the drop belongs to step 3, not 4.
        return self.factor ** math.floor(progress / self.every + _HAIR)


@dataclass(frozen=True)
class Milestones(Schedule):
    """``factor`` ^ (how many of ``at`` have been reached).

    Args:
        at: increasing fractions of the run, in [0, 1].
        factor: what one drop multiplies by, in (0, 1].
    """

    at: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    def __post_init__(self) -> None:
        _positive(self, factor=self.factor)
        _fractions(self, **{f"at[{i}]": value for i, value in enumerate(self.at)})
        if list(self.at) != sorted(self.at):
            raise ValueError(f"Milestones: at must increase, got {self.at}: write {tuple(sorted(self.at))}")

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        return self.factor ** bisect_right(self.at, progress + _HAIR)


@dataclass(frozen=True)
class Exponential(Schedule):
    """``final`` ^ progress: the same relative decay at every step, ending at ``final``, in (0, 1]."""

    final: float = 0.01

    def __post_init__(self) -> None:
        _positive(self, final=self.final)

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        return self.final**progress


@dataclass(frozen=True)
class Cosine(Schedule):
    """floor + (1 - floor) · (1 + cos π·progress) / 2 (Loshchilov and Hutter 2017, "SGDR", eq. 5, one period)."""

    floor: float = 0.0

    def __post_init__(self) -> None:
        _fractions(self, floor=self.floor)

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        return _cosine(1.0, self.floor, progress)


@dataclass(frozen=True)
class Linear(Schedule):
    """1 - (1 - floor) · progress: a straight line from 1 to ``floor``, in [0, 1]."""

    floor: float = 0.0

    def __post_init__(self) -> None:
        _fractions(self, floor=self.floor)

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        return 1.0 - (1.0 - self.floor) * progress


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to the full rate and down to almost nothing, both along a cosine (Smith and Topin 2018, "Super-Convergence").

    Args:
        peak: where in the run the full rate is reached, in (0, 1).
        start: factor at the beginning, in [0, 1].
        final: factor at the end, in [0, 1].
    """

    peak: float = 0.3
    start: float = 1 / 25
    final: float = 1 / 250_000

    def __post_init__(self) -> None:
        _fractions(self, start=self.start, final=self.final)
        _inside(self, peak=self.peak)

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        if progress < self.peak:
            return _cosine(self.start, 1.0, progress / self.peak)
        return _cosine(1.0, self.final, (progress - self.peak) / (1 - self.peak))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight line up for ``fraction`` of the run, then another schedule over all that is left (Goyal et al. 2017).

    >>> AdamW(1e-3, schedule=WarmUp(0.05, Cosine()))

    Args:
        fraction: of the run, in (0, 1).
        then: the schedule that follows, from its own beginning to its own end.
        start: factor of the first step, relative to where ``then`` begins, in [0, 1].
    """

    fraction: float = 0.05
    then: Schedule = Constant()
    start: float = 0.01

    def __post_init__(self) -> None:
        _inside(self, fraction=self.fraction)
        _fractions(self, start=self.start)

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        if progress < self.fraction:
            return self.then(0.0, scores) * (self.start + (1 - self.start) * progress / self.fraction)
        return self.then((progress - self.fraction) / (1 - self.fraction), scores)


@dataclass(frozen=True)
class WarmupStableDecay(Schedule):
    """Up, level, down, each a straight line (Hu et al. 2024, "MiniCPM", eq. 1; Hägele et al. 2024 for the linear end).

    Args:
        warmup: fraction of the run that goes up, in [0, 1].
        decay: fraction of the run, its last, that goes down, in [0, 1]; the two together at most 1.
        start: factor of the first step, in [0, 1].
        floor: factor at the end, in [0, 1].
    """

    warmup: float = 0.05
    decay: float = 0.2
    start: float = 0.01
    floor: float = 0.0

    def __post_init__(self) -> None:
        _fractions(self, warmup=self.warmup, decay=self.decay, start=self.start, floor=self.floor)
        if self.warmup + self.decay > 1:
            raise ValueError(
                f"WarmupStableDecay: warmup={self.warmup} and decay={self.decay} are fractions of one run, "
                f"so together they must be at most 1"
            )

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        if progress < self.warmup:
            return self.start + (1 - self.start) * progress / self.warmup
        left = 1.0 - progress
        return 1.0 if left >= self.decay else self.floor + (1 - self.floor) * left / self.decay


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiplied by ``factor`` whenever the watched score has not improved for more than ``patience`` evaluations.

    Args:
        factor: what one reduction multiplies by, in (0, 1).
        patience: how many evaluations without improvement are borne, at least 0.
        threshold: an improvement is a score below the best by more than this (an absolute difference: a relative one
            would turn round for scores below zero).
        cooldown: how many evaluations after a reduction are not held against the run, at least 0.
        floor: never below this factor, in [0, 1].
    """

    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _inside(self, factor=self.factor)
        _fractions(self, floor=self.floor)
        for name in ("patience", "threshold", "cooldown"):
            if getattr(self, name) < 0:
                raise ValueError(f"ReduceOnPlateau: {name} must be at least 0, got {getattr(self, name)}")

    def __call__(self, progress: float, scores: Sequence[float] = ()) -> float:
        best, bad, cooling, rate = math.inf, 0, 0, 1.0
        for score in scores:
            if score < best - self.threshold:
                best, bad = score, 0
            else:
                bad += 1
            if cooling:
                cooling, bad = cooling - 1, 0
            if bad > self.patience:
                rate, cooling, bad = max(rate * self.factor, self.floor), self.cooldown, 0
        return rate


_HAIR = 1e-9
"""Far below one step of any run, far above rounding."""


def _cosine(start: float, end: float, way: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2


def _fractions(schedule: Schedule, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{type(schedule).__name__}: {name} must be in [0, 1], got {value}")


def _positive(schedule: Schedule, **values: float) -> None:
    for name, value in values.items():
        if not 0 < value <= 1:
            raise ValueError(f"{type(schedule).__name__}: {name} must be in (0, 1], got {value}")


def _inside(schedule: Schedule, **values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise ValueError(f"{type(schedule).__name__}: {name} must be between 0 and 1, got {value}")

"""What the network is to say of a noisy picture x = s·x₀ + n·ε: always p·x₀ + q·ε, so that

    x₀ = (q·x - n·out)/(q·s - p·n).

| objective | p | q | source |
|---|---|---|---|
| `Epsilon` | 0 | 1 | Ho et al. 2020, eq. 14 |
| `Clean` | 1 | 0 | the same, section 3.2 |
| `Velocity` | -n | s | Salimans and Ho 2022, section 4 |
| `Flow` | -1 | 1 | Lipman et al. 2023; Liu et al. 2023 |

How much each step's error counts is a `Weight`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Number = Float[Tensor, "*shape"] | float


class Objective(ABC):
    """Args of all: signal s and noise n, as `Schedule` has them."""

    @abstractmethod
    def parts(self, signal: Number, noise: Number) -> tuple[Number, Number]:
        """p and q."""

    def target(self, clean: Tensor, epsilon: Tensor, signal: Number, noise: Number) -> Tensor:
        """What the network should say."""
        p, q = self.parts(signal, noise)
        return p * clean + q * epsilon

    def clean(self, out: Tensor, x: Tensor, signal: Number, noise: Number) -> Tensor:
        """The picture that it then thinks of."""
        p, q = self.parts(signal, noise)
        return (q * x - noise * out) / (q * signal - p * noise)

    def share(self, signal: Number, noise: Number) -> Number:
        """How large an error of the picture an error of 1 in what it says is, squared."""
        p, q = self.parts(signal, noise)
        return (noise / (q * signal - p * noise)) ** 2


@dataclass(frozen=True)
class Epsilon(Objective):
    """The noise. At a signal of 0 it tells nothing of the picture: for schedules that keep some."""

    def parts(self, signal: Number, noise: Number) -> tuple[Number, Number]:
        return 0.0, 1.0


@dataclass(frozen=True)
class Clean(Objective):
    """The picture itself."""

    def parts(self, signal: Number, noise: Number) -> tuple[Number, Number]:
        return 1.0, 0.0


@dataclass(frozen=True)
class Velocity(Objective):
    """How x changes along the circle of signal and noise."""

    def parts(self, signal: Number, noise: Number) -> tuple[Number, Number]:
        return -noise, signal


@dataclass(frozen=True)
class Flow(Objective):
    """How x changes along the straight way from picture to noise."""

    def parts(self, signal: Number, noise: Number) -> tuple[Number, Number]:
        return -1.0, 1.0


class Weight(ABC):
    @abstractmethod
    def __call__(
        self, objective: Objective, signal: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape"]:
        """Of the squared error of what the network says."""


@dataclass(frozen=True)
class Even(Weight):
    """Every step counts alike."""

    def __call__(
        self, objective: Objective, signal: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape"]:
        return torch.ones_like(signal)


@dataclass(frozen=True)
class MinSNR(Weight):
    """An error of the picture counts as the ratio of signal to noise, (s/n)², at most ``most``, so that steps with
    little noise, which are many and easy, do not outweigh the rest (Hang et al. 2023, eq. 7 and section 3.4)."""

    most: float = 5.0

    def __call__(
        self, objective: Objective, signal: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape"]:
        share = objective.share(signal, noise)
        return ((signal / noise) ** 2).clamp(max=self.most) * share

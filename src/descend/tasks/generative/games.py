"""What a critic and a generator play for, and what holds the critic's slope.

| game | the critic descends the mean of | the generator |
|---|---|---|
| `NonSaturating` | log(1 + e^(-D(x))) + log(1 + e^(D(G(z)))) | log(1 + e^(-D(G(z)))) |
| `Wasserstein` | D(G(z)) - D(x) | -D(G(z)) |
| `Hinge` | max(0, 1 - D(x)) + max(0, 1 + D(G(z))) | -D(G(z)) |

A penalty is added to the critic's loss. It holds a gradient by the input, so that the loss is differentiated twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

Logits = Float[Tensor, "*shape"]
Samples = Float[Tensor, "batch *numbers"]
Judge = Callable[[Tensor], Tensor]
"""What a critic says of samples, whose classes it was told."""


class Game(ABC):
    """What is averaged over the batch."""

    @abstractmethod
    def judged(self, real: Logits, made: Logits) -> Logits:
        """What the critic descends, by what it says of real and of made samples."""

    @abstractmethod
    def fooled(self, made: Logits) -> Logits:
        """What the generator descends."""


@dataclass(frozen=True)
class NonSaturating(Game):
    """The critic's logits tell real from made by cross-entropy; the generator raises the logits of what it made, with a
    gradient that does not die where the critic is sure (Goodfellow et al. 2014, eq. 1 and section 3)."""

    def judged(self, real: Logits, made: Logits) -> Logits:
        return softplus(-real) + softplus(made)

    def fooled(self, made: Logits) -> Logits:
        return softplus(-made)


@dataclass(frozen=True)
class Wasserstein(Game):
    """The distance that it takes to move what is made to where real samples are, if the critic's slope is at most 1, as
    `GradientPenalty` holds it (Arjovsky et al. 2017, eq. 2)."""

    def judged(self, real: Logits, made: Logits) -> Logits:
        return made - real

    def fooled(self, made: Logits) -> Logits:
        return -made


@dataclass(frozen=True)
class Hinge(Game):
    """What is told apart by more than a margin teaches the critic nothing (Lim and Ye 2017); with spectral norm as of
    Miyato et al. 2018, eq. 16 and 17."""

    def judged(self, real: Logits, made: Logits) -> Logits:
        return torch.relu(1 - real) + torch.relu(1 + made)

    def fooled(self, made: Logits) -> Logits:
        return -made


@dataclass(frozen=True)
class Penalty(ABC):
    """What is added to the critic's loss.

    Args: every: it is counted at each so-many-th step of the critic, and then as many times (Karras et al. 2020,
        appendix B): nearly the same, at a part of the cost.

    Raises:
        ValueError: every is below 1.
    """

    every: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"{type(self).__name__}: every is {self.every}; give 1 for each step, or more")

    @abstractmethod
    def __call__(self, judge: Judge, real: Samples, made: Samples) -> Float[Tensor, "batch"]:
        """A number for each sample, to be averaged."""


@dataclass(frozen=True)
class GradientPenalty(Penalty):
    """weight · (‖∇D(x̂)‖ - 1)² at points x̂ anywhere between a real and a made sample (Gulrajani et al. 2017, eq. 3)."""

    weight: float = 10.0

    def __call__(self, judge: Judge, real: Samples, made: Samples) -> Float[Tensor, "batch"]:
        share = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
        return self.weight * (_slopes(judge, torch.lerp(made, real, share)).norm(dim=1) - 1).square()


@dataclass(frozen=True)
class R1(Penalty):
    """gamma / 2 · ‖∇D(x)‖² at real samples, so that a critic that finds no difference comes to rest (Mescheder et al.
    2018, eq. 9)."""

    gamma: float = 10.0

    def __call__(self, judge: Judge, real: Samples, made: Samples) -> Float[Tensor, "batch"]:
        return self.gamma / 2 * _slopes(judge, real).square().sum(1)


def _slopes(judge: Judge, x: Samples) -> Float[Tensor, "batch flat"]:
    x = x.detach().requires_grad_()
    # One sample's logits depend on that sample alone, so the gradient of the sum holds each one's own.
    (slope,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
    return slope.flatten(1)

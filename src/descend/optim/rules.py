"""Gradient rules: which gradient a step follows.

The engine hands a rule its `Passes`: forward and backward over the global batch, as often as asked, whatever parts and
ranks that takes. So a rule is a few lines of its paper, and works with micro-batches and ranks without knowing of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Gradients = list[Tensor | None]
"""One a parameter, in the order of ``passes.parameters``; None where the loss does not reach."""


@runtime_checkable
class Passes(Protocol):
    """What the engine offers a rule."""

    parameters: list[nn.Parameter]

    @property
    def generator(self) -> torch.Generator:
        """For draws of the rule's own: keyed by (seed, step), on the parameters' device, the same on every rank."""
        ...

    def gradient(self) -> tuple[Gradients, Any]:
        """The gradient of the global batch's loss at the parameters' present values; the losses, for the engine."""
        ...

    def per_sample(self, clip: Callable[[Float[Tensor, "n"]], Float[Tensor, "n"]]) -> tuple[list[Tensor], int, Any]:
        """Σ_i clip(‖g_i‖) · g_i over the global batch's samples; how many they are; the losses."""
        ...


class Rule(ABC):
    """``rule(passes) -> (gradients, losses)``: the losses are the engine's own, to be handed back."""

    @abstractmethod
    def __call__(self, passes: Passes) -> tuple[Gradients, Any]: ...


@dataclass(frozen=True)
class Plain(Rule):
    """The gradient of the loss."""

    def __call__(self, passes: Passes) -> tuple[Gradients, Any]:
        return passes.gradient()


@dataclass(frozen=True)
class SharpnessAware(Rule):
    """The gradient at the worst point nearby, so that flat minima are sought (Foret et al. 2021, eq. 2 and 3):

        ε = rho · ∇L(w) / ‖∇L(w)‖,    g = ∇L(w + ε).

    Two passes a step. The losses are those at w, and w keeps its exact bits.

    Args:
        rho: how far the climb goes, in the parameters' own units, above 0; 0.05 in the paper.
    """

    rho: float = 0.05

    def __post_init__(self) -> None:
        if not self.rho > 0:
            raise ValueError(f"SharpnessAware: rho must be above 0, got {self.rho}; for no climb, rule=Plain()")

    def __call__(self, passes: Passes) -> tuple[Gradients, Any]:
        gradients, losses = passes.gradient()
        reached = [(p, g) for p, g in zip(passes.parameters, gradients, strict=True) if g is not None]
        if not reached:
            return gradients, losses
        parameters: list[Tensor] = [p.detach() for p, _ in reached]
        climb = [g for _, g in reached]
        total = torch.nn.utils.get_total_norm(climb)
        kept = [p.clone() for p in parameters]
        # At an exact minimum there is nowhere to climb: 0 / tiny, not 0 / 0.
        steps = torch._foreach_mul(climb, self.rho / total.clamp(min=torch.finfo(total.dtype).tiny))
        torch._foreach_add_(parameters, steps)
        try:
            return passes.gradient()[0], losses
        finally:
            torch._foreach_copy_(parameters, kept)


@dataclass(frozen=True)
class PerSample(Rule):
    """No single sample moves the weights by more than ``clip`` (Abadi et al. 2016, algorithm 1):

        g = (Σ_i g_i / max(1, ‖g_i‖ / clip) + N(0, noise² clip²)) / n.

    With noise, a private step; what it spends is for an accountant to say. Without, a robust one.

    Args:
        clip: C, the largest norm of one sample's gradient, above 0.
        noise: σ, the noise multiplier, at least 0.
    """

    clip: float = 1.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise ValueError(f"PerSample: clip must be above 0, got {self.clip}")
        if not self.noise >= 0:
            raise ValueError(f"PerSample: noise must be at least 0, got {self.noise}")

    def __call__(self, passes: Passes) -> tuple[Gradients, Any]:
        sums, n, losses = passes.per_sample(self.factors)
        if self.noise:
            generator = passes.generator
            for total in sums:
                total += torch.empty_like(total).normal_(0.0, self.noise * self.clip, generator=generator)
        torch._foreach_div_(sums, max(n, 1))
        return [*sums], losses

    def factors(self, norms: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        """1 / max(1, ‖g_i‖ / C) for every sample."""
        return self.clip / norms.clamp(min=self.clip)

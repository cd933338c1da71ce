"""What a loss averages over.

A loss is a sum divided by a count: of samples, pixels, tokens, boxes. When a batch is split over micro-batches or
ranks, the mean of the parts' means is not the mean of the whole, unless every part counts the same. So a loss returns
its total and its count apart, and the engine divides once, by the counts of the whole global batch:

    value = Σ_t w_t · (Σ_parts total_t) / (Σ_parts count_t)        for every term t, each with its own count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Num
from torch import Tensor


@dataclass(frozen=True)
class Term:
    """One averaged quantity: ``weight · total / count``.

    ``coupled`` says that the samples of the batch meet in the total (contrastive pairs, soft Dice), so that no split
    of the batch gives the same numbers. ``divided`` says that ``held`` is the total divided by the count already, NaN
    where that is 0.
    """

    held: Float[Tensor, ""]
    count: Num[Tensor, ""] | float
    weight: float | Tensor = 1.0
    coupled: bool = False
    divided: bool = False

    @property
    def total(self) -> Float[Tensor, ""]:
        return self.average * self.count if self.divided else self.held

    @property
    def average(self) -> Float[Tensor, ""]:
        """The total over the count; 0 where nothing is counted: no box at all teaches nothing, and must not be NaN."""
        return torch.where(torch.as_tensor(self.count) == 0, 0.0, self.held) if self.divided else self.over(self.count)

    def over(self, count: Num[Tensor, ""] | float) -> Float[Tensor, ""]:
        """The total over another count; one of 0 counts as 1."""
        return self.total / (torch.where(count == 0, 1.0, count) if isinstance(count, Tensor) else count or 1.0)


class Mean:
    """A loss that knows what it averages over. Sums and weights keep each term with its own count.

    >>> boxes = Mean(l1.sum(), count=number_of_boxes)
    >>> loss = cross_entropy(logits, labels) + 5.0 * boxes

    Args:
        total: the sum over what is counted, a scalar.
        count: how many there are (or the sum of their weights), a scalar; a count of 0 makes the term 0.
        coupled: the total mixes samples, so the engine must not split the batch.
    """

    __slots__ = ("terms",)

    def __init__(self, total: Float[Tensor, ""], count: Num[Tensor, ""] | float, coupled: bool = False):
        # A count known to Python stays there: a scalar tensor would cost each step several microseconds.
        count = count.detach() if isinstance(count, Tensor) else float(count)
        self.terms: tuple[Term, ...] = (Term(total, count, coupled=coupled),)

    @classmethod
    def of(cls, values: Float[Tensor, "..."], weight: Num[Tensor, "..."] | None = None) -> Mean:
        """The mean of ``values``, or their weighted mean Σ w·v / Σ w; ``weight`` has the shape of ``values``."""
        if weight is None:
            return cls(values.sum(), values.numel())
        return cls((values * weight).sum(), weight.sum())

    @classmethod
    def divided(cls, average: Float[Tensor, ""], count: Num[Tensor, ""] | float) -> Mean:
        """Of a kernel that divides by itself; ``average`` is NaN, and its gradients 0, where the count is 0."""
        return _from((Term(average, count.detach() if isinstance(count, Tensor) else float(count), divided=True),))

    @property
    def coupled(self) -> bool:
        return any(term.coupled for term in self.terms)

    @property
    def totals(self) -> Float[Tensor, "terms"]:
        """Each term's weight · total, detached."""
        return torch.stack([(term.weight * term.total).detach().float() for term in self.terms])

    @property
    def counts(self) -> Float[Tensor, "terms"]:
        device = self.terms[0].held.device
        return torch.stack([torch.as_tensor(t.count, dtype=torch.float32, device=device) for t in self.terms])

    def value(self, counts: Sequence[Tensor] | Tensor | None = None) -> Float[Tensor, ""]:
        """Σ weight · total / count, with the given ``counts`` (one a term) in place of its own where they are given."""
        parts = []
        for i, term in enumerate(self.terms):
            average = term.average if counts is None else term.over(counts[i])
            parts.append(average if isinstance(term.weight, float) and term.weight == 1.0 else term.weight * average)
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum()

    def unguarded(self) -> Float[Tensor, ""]:
        """As `value`, or NaN where nothing is counted: guarding against that costs several kernels a step."""
        first = self.terms[0]
        plain = len(self.terms) == 1 and isinstance(first.weight, float) and first.weight == 1.0
        return first.held if plain and first.divided else self.value()

    def __add__(self, other: Mean | float) -> Mean:
        if isinstance(other, Mean):
            return _from(self.terms + other.terms)
        if other == 0:  # so that sum() works
            return self
        raise TypeError(f"a Mean adds to a Mean, not to {type(other).__name__}: give it a count, Mean(total, count)")

    __radd__ = __add__

    def __mul__(self, factor: float | Tensor) -> Mean:
        return _from(tuple(replace(term, weight=term.weight * factor) for term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, factor: float | Tensor) -> Mean:
        return self * (1 / factor)

    def __neg__(self) -> Mean:
        return self * -1.0

    def __sub__(self, other: Mean) -> Mean:
        return self + -other

    def __repr__(self) -> str:
        terms = " + ".join(f"{t.weight} * {t.total.item():.6g} / {float(t.count):.6g}" for t in self.terms)
        return f"Mean({terms})"


def _from(terms: tuple[Term, ...]) -> Mean:
    mean = Mean.__new__(Mean)
    mean.terms = terms
    return mean

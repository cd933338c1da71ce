"""Whether embeddings tell who is who: two samples of one class (verification), or the class of one (identification).

Samples are compared with samples, by cosine, so that classes that were never learned can be asked as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

FALSE_ACCEPTS = 0.01
"""Share of the pairs of two classes that may be taken for one where true accepts are counted."""


@dataclass(frozen=True)
class Rates:
    """What is accepted from each similarity on that occurs, the highest first; before them stands one that no pair has.

    Attributes:
        similarity: from which on a pair is taken for one of one class.
        false: share of the pairs of two classes that then are.
        true: share of the pairs of one class that then are.
    """

    similarity: Float[Tensor, "steps"]
    false: Float[Tensor, "steps"]
    true: Float[Tensor, "steps"]

    @classmethod
    def of(cls, similarity: Float[Tensor, "pairs"], alike: Bool[Tensor, "pairs"]) -> Rates:
        """Of pairs, and whether each is one of one class.

        Raises:
            ValueError: all are, or none is.
        """
        if not 0 < int(alike.sum()) < len(alike):
            raise ValueError(
                f"of {len(alike)} pairs {int(alike.sum())} are of one class: to verify takes two samples of one class "
                "and one of another"
            )
        values, order = similarity.sort(descending=True)
        # Pairs of one similarity are accepted together.
        last = torch.cat([values.diff() != 0, alike.new_ones(1)])
        false, true = (functional.pad(one[order].cumsum(0)[last], (1, 0)) for one in (~alike, alike))
        return cls(functional.pad(values[last], (1, 0), value=torch.inf), false / false[-1], true / true[-1])

    @property
    def equal_error(self) -> Float[Tensor, ""]:
        """Where as many are wrongly accepted as wrongly refused, the steps joined by straight lines."""
        after, gap = self._crossing
        share = gap[after - 1] / (gap[after - 1] - gap[after])
        return self.false[after - 1].lerp(self.false[after], share)

    @property
    def threshold(self) -> Float[Tensor, ""]:
        """The similarity from which on both errors are most alike: in the middle between two that occur."""
        step, gap = self._crossing
        if step > 1 and gap[step - 1] < -gap[step]:
            step -= 1
        return self.similarity[step : step + 2].mean()

    @property
    def area(self) -> Float[Tensor, ""]:
        """Under the true accepts over the false ones: the chance that a pair of one class is more similar than a pair
        of two (ties count half)."""
        return torch.trapezoid(self.true, self.false)

    def true_at(self, false: float) -> Float[Tensor, ""]:
        """True accepts where at most this share is falsely accepted."""
        return self.true[self.false <= false].max()

    @property
    def _crossing(self) -> tuple[int, Tensor]:
        """The first step at which no more are wrongly refused than wrongly accepted; at each step, how many more."""
        gap = 1 - self.true - self.false
        return int((gap <= 0).nonzero()[0]), gap


class Embeddings(Metric):
    """Base: keeps every sample's embedding and class."""

    full_state_update = False
    embeddings: list[Tensor]
    targets: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("embeddings", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, embedding: Float[Tensor, "batch width"], target: Int[Tensor, "batch"]) -> None:
        self.embeddings.append(functional.normalize(embedding.detach().float(), dim=1))
        self.targets.append(target)

    def similarities(self) -> tuple[Float[Tensor, "n n"], Bool[Tensor, "n n"]]:
        """Of any two samples, their cosine and whether they are of one class."""
        embedding, target = dim_zero_cat(self.embeddings), dim_zero_cat(self.targets)
        return embedding @ embedding.T, target[:, None] == target


class Verification(Embeddings):
    """Of all pairs of samples: ``eer``, the equal error rate; ``auc``, the area under the curve of true accepts over
    false ones; ``tar``, the true accepts where one of a hundred pairs of two classes is accepted.

    Raises:
        ValueError: no two samples are of one class, or all are.
    """

    def rates(self) -> Rates:
        similarity, alike = self.similarities()
        pairs = torch.ones_like(alike).triu(1)
        return Rates.of(similarity[pairs], alike[pairs])

    def compute(self) -> dict[str, Tensor]:
        rates = self.rates()
        return {"eer": rates.equal_error, "auc": rates.area, "tar": rates.true_at(FALSE_ACCEPTS)}


class Identification(Embeddings):
    """The share of samples whose nearest other one is of their class (rank 1), of those whose class has another.

    Raises:
        ValueError: no two samples are of one class.
    """

    higher_is_better = True

    def compute(self) -> Tensor:
        similarity, alike = self.similarities()
        asked = alike.fill_diagonal_(False).any(1)
        if not bool(asked.any()):
            raise ValueError(f"of {len(alike)} samples no two are of one class: to identify one takes another of it")
        nearest = similarity.fill_diagonal_(-torch.inf).argmax(1, keepdim=True)
        return alike.gather(1, nearest)[asked].float().mean()

"""Which class is taken for which."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric


class Confusion(Metric):
    """Counts [classes, classes]: row the true class, column the predicted one, of samples or of their places. Keeps
    nothing but these counts; targets below 0 count nothing.

    torchmetrics' own wants the number of classes beforehand; here it is the width of the first outputs.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(0, 0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, outputs: Float[Tensor, "batch classes *places"], target: Int[Tensor, "batch *places"]) -> None:
        classes = outputs.shape[1]
        pairs = target * classes + outputs.argmax(1)
        pairs = pairs[target >= 0]
        counts = torch.bincount(pairs, minlength=classes * classes).view(classes, classes)
        self.counts = counts if len(self.counts) == 0 else self.counts + counts

    def compute(self) -> Tensor:
        return self.counts


class Accuracy(Confusion):
    """The share of samples, or of places, whose most probable class is the true one."""

    higher_is_better = True

    def compute(self) -> Tensor:
        return self.counts.diagonal().sum() / self.counts.sum()


class Dice(Confusion):
    """2·|A ∩ B| / (|A| + |B|) of the places of a class and those it was found at, averaged over the classes but the
    first, the background (Dice 1945); over all data, so that a picture without the class does not count as one. A class
    that neither is there nor was found counts nothing."""

    higher_is_better = True

    def compute(self) -> Tensor:
        both = self.counts.sum(0) + self.counts.sum(1)
        shares = 2 * self.counts.diagonal() / both.clamp(min=1)
        return shares[1:].sum() / (both[1:] > 0).sum().clamp(min=1)


class IoU(Confusion):
    """|A ∩ B| / |A ∪ B| of the places of a class and those it was found at, averaged over the classes that
    are there or were found (Everingham et al. 2010, section 4.3)."""

    higher_is_better = True

    def compute(self) -> Tensor:
        common = self.counts.diagonal()
        union = self.counts.sum(0) + self.counts.sum(1) - common
        return (common / union.clamp(min=1)).sum() / (union > 0).sum().clamp(min=1)

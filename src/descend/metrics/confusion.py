"""Which class is taken for which."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric


class Confusion(Metric):
    """Counts [classes, classes]: row the true class, column the predicted one. Keeps nothing but these counts.

    torchmetrics' own wants the number of classes beforehand; here it is the width of the first outputs.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(0, 0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, outputs: Float[Tensor, "batch classes"], target: Int[Tensor, "batch"]) -> None:
        classes = outputs.shape[1]
        pairs = target * classes + outputs.argmax(1)
        counts = torch.bincount(pairs, minlength=classes * classes).view(classes, classes)
        self.counts = counts if len(self.counts) == 0 else self.counts + counts

    def compute(self) -> Tensor:
        return self.counts


class Accuracy(Confusion):
    """The share of samples whose most probable class is the true one."""

    higher_is_better = True

    def compute(self) -> Tensor:
        return self.counts.diagonal().sum() / self.counts.sum()

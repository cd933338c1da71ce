"""The loss over a whole data set: every term's total and count are summed, and divided once."""

import torch
from torch import Tensor
from torchmetrics import Metric

from descend.functional import Mean


class MeanLoss(Metric):
    """Σ_t (Σ_batches w_t · total_t) / (Σ_batches count_t): equal for any batch size, however the terms count."""

    higher_is_better = False
    full_state_update = False
    totals: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        # How many terms a loss has is known at the first batch.
        self.add_state("totals", torch.zeros(0), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(0), dist_reduce_fx="sum")

    def update(self, mean: Mean) -> None:
        if len(self.totals) == 0:
            self.totals = torch.zeros(len(mean.terms), device=self.device)
            self.counts = torch.zeros_like(self.totals)
        self.totals += mean.totals
        self.counts += mean.counts

    def compute(self) -> Tensor:
        return (self.totals / torch.where(self.counts == 0, 1.0, self.counts)).sum()

"""How many things are found, and how much of what is found is there."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric

from descend.functional.boxes import iou

RECALLS = 101
"""Shares of the things at which precision is read: 0, 0.01, …, 1."""


class AveragePrecision(Metric):
    """For each class, the mean precision over all recalls, as COCO counts it (Lin et al. 2014; after Everingham et al.
    2010, section 4.2): answers, the surest first, each take the free box of their class that they overlap most, by
    ``least`` or more; the rest are false. A class of which there is nothing has -1.

    Args:
        classes: how many there are.
        least: intersection over union from which a box is found.
    """

    full_state_update = False
    higher_is_better = True
    rows: list[Tensor]
    truths: Tensor

    def __init__(self, classes: int, least: float = 0.5):
        super().__init__()
        self.classes = classes
        self.least = least
        self.add_state("rows", [], dist_reduce_fx="cat")
        self.add_state("truths", torch.zeros(classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        found: Float[Tensor, "batch most 6"],
        boxes: Float[Tensor, "batch more 4"],
        target: Int[Tensor, "batch more"],
    ) -> None:
        """Args:
        found: left, top, right, bottom, confidence, class; a confidence of 0 is no answer.
        boxes, target: what is there, and its class; -1 is nothing.
        """
        self.truths += torch.bincount(target[target >= 0], minlength=self.classes)
        for own, truth, classes in zip(found, boxes, target, strict=True):
            own = own[own[:, 4] > 0]
            own = own[own[:, 4].argsort(descending=True, stable=True)]
            right = self._right(own, truth[classes >= 0], classes[classes >= 0])
            self.rows.append(torch.stack([own[:, 4], own[:, 5], right.to(own.dtype)], 1))

    def _right(self, found: Tensor, truth: Tensor, classes: Tensor) -> Tensor:
        """Which answers about one picture find something."""
        fits = iou(found[:, None, :4], truth)
        fits = fits.where((found[:, 5:6] == classes) & (fits >= self.least), -1.0)
        right = torch.zeros(len(found), dtype=torch.bool, device=found.device)
        for row in range(len(found) if len(truth) else 0):
            best = fits[row].argmax()
            if fits[row, best] >= 0:
                right[row] = True
                fits[:, best] = -1.0
        return right

    def compute(self) -> Float[Tensor, "classes"]:
        rows = torch.cat(self.rows) if isinstance(self.rows, list) else self.rows
        return torch.stack([self._of(rows[rows[:, 1] == number], number) for number in range(self.classes)])

    def _of(self, rows: Tensor, number: int) -> Tensor:
        there = self.truths[number]
        if there == 0:
            return torch.tensor(-1.0, device=rows.device)
        right = rows[rows[:, 0].argsort(descending=True, stable=True), 2].cumsum(0)
        precision = right / torch.arange(1, len(right) + 1, device=right.device)
        # The best precision at this recall or a higher one.
        precision = precision.flip(0).cummax(0).values.flip(0)
        # As numpy rounds them: where a recall is one of them, the last bit decides which precision is read.
        recalls = torch.from_numpy(np.linspace(0, 1, RECALLS)).to(right.device)
        places = torch.searchsorted((right.double() / there).contiguous(), recalls)
        return torch.cat([precision, precision.new_zeros(1)])[places].mean()


class MeanAveragePrecision(AveragePrecision):
    """The mean over the classes that there are; 0 where there is nothing at all."""

    def compute(self) -> Float[Tensor, ""]:
        each = super().compute()
        return each[each >= 0].mean() if (each >= 0).any() else each.new_zeros(())

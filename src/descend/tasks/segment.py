"""Segmentation: a class for each place of a picture or volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Max, Task
from descend.functional import Mean
from descend.losses import cross_entropy, sample_dice
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Segment(Task):
    """Learns p(class | place) by cross-entropy plus the overlap that is lost (Isensee et al. 2021, "nnU-Net").

    >>> task = Segment(UNet(1, 2), AdamW(1e-3, schedule=Cosine()))

    Cross-entropy asks every place, so a small thing counts little; Dice asks every thing. A network with one output a
    place tells one class from the rest, as with the outputs 0 and its own.

    Args:
        model: gives logits [batch, classes, *places], or [batch, 1, *places], for the batch's inputs, taken by name.
        optimizer: how the model is moved.
        dice: weight of the overlap beside the cross-entropy, at least 0.
        class_weights: a weight for each class in the cross-entropy; all 1 if None.
    """

    goal = Max("dice")
    weights: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        dice: float = 1.0,
        class_weights: tuple[float, ...] | None = None,
    ):
        super().__init__()
        if dice < 0:
            raise ValueError(f"Segment: dice is {dice}; give 0 for cross-entropy alone, or more")
        self.model = model
        self.optimizer = optimizer
        self.dice = dice
        self.class_weights = class_weights
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("weights", weights, persistent=False)
        self.descent = Descent(model, optimizer)

    def forward(self, **inputs: Tensor) -> Float[Tensor, "batch classes *places"]:
        """Logits of two classes or more."""
        logits = self.model(**inputs)
        return torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits

    def loss(self, batch: Batch) -> dict[str, Mean]:
        logits = self(**batch.inputs).float()
        parts = {"cross_entropy": cross_entropy(logits, batch["target"], weight=self.weights)}
        return parts | ({"dice": self.dice * sample_dice(logits, batch["target"])} if self.dice else {})

    def predict(self, **inputs: Tensor) -> Float[Tensor, "batch classes *places"]:
        """Probabilities; those of a place sum to 1."""
        with torch.no_grad():
            return self(**inputs).float().softmax(1)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import Accuracy, Dice, IoU, MeanLoss

        return MetricCollection(
            {"accuracy": Accuracy(), "dice": Dice(), "iou": IoU(), "loss": MeanLoss()}, compute_groups=False
        )

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """One forward pass for all metrics; the loss is the plain cross-entropy, so that runs can be compared."""
        logits = self(**batch.inputs).float()
        metrics["loss"].update(cross_entropy(logits, batch["target"]))
        for name in ("accuracy", "dice", "iou"):
            metrics[name].update(logits, batch["target"])

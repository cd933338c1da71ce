"""What torchmetrics lacks; the rest is torchmetrics."""

from descend.metrics.confusion import Accuracy, Confusion, Dice, IoU
from descend.metrics.loss import MeanLoss

__all__ = ["Accuracy", "Confusion", "Dice", "IoU", "MeanLoss"]

"""What torchmetrics lacks; the rest is torchmetrics."""

from descend.metrics.confusion import Accuracy, Confusion
from descend.metrics.loss import MeanLoss

__all__ = ["Accuracy", "Confusion", "MeanLoss"]

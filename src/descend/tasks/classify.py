"""Classification: one class out of several for each example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.data import BadData, Batch
from descend.engine import Descent, Max, Task
from descend.functional import Mean
from descend.losses import cross_entropy
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Classify(Task):
    """Learns p(class | example) by the cross-entropy of softmax(logits).

    >>> task = Classify(MLP(784, 128, 64, out=10), AdamW(1e-3, schedule=Cosine()))

    Args:
        model: gives logits [batch, classes] for the batch's inputs, taken by name.
        optimizer: how the model is moved.
        label_smoothing: share of the target spread evenly over all classes, 0 … 1 (Szegedy et al. 2016, section 7).
        class_weights: a weight for each class, for classes of unequal size; all 1 if None.
    """

    goal = Max("accuracy")
    weights: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        label_smoothing: float = 0.0,
        class_weights: tuple[float, ...] | None = None,
    ):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("weights", weights, persistent=False)
        self.descent = Descent(model, optimizer)

    def forward(self, **inputs: Tensor) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.model(**inputs)

    def loss(self, batch: Batch) -> Mean:
        logits = self(**batch.inputs)
        return _cross_entropy(logits, batch, weight=self.weights, label_smoothing=self.label_smoothing)

    def predict(self, **inputs: Tensor) -> Float[Tensor, "batch classes"]:
        """Probabilities; each row sums to 1."""
        with torch.no_grad():
            return self(**inputs).float().softmax(1)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import Accuracy, Confusion, MeanLoss

        return MetricCollection({"accuracy": Accuracy(), "loss": MeanLoss(), "confusion": Confusion()})

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """One forward pass for all metrics; the loss is the plain cross-entropy, so that runs can be compared."""
        logits = self(**batch.inputs).float()
        metrics["loss"].update(_cross_entropy(logits, batch))
        metrics["accuracy"].update(logits, batch["target"])
        metrics["confusion"].update(logits, batch["target"])


def _cross_entropy(logits: Tensor, batch: Batch, **how: Any) -> Mean:
    """Labels in files are seen here for the first time; what is wrong with them is asked once the loss has failed."""
    target, classes = batch["target"], logits.shape[1]
    try:
        return cross_entropy(logits, target, **how)
    except (IndexError, RuntimeError):
        if target.is_floating_point():
            raise
        wrong = ((target < 0) | (target >= classes)).nonzero().flatten().tolist()
        if not wrong:
            raise
        sample = f" of sample {int(batch['index'][wrong[0]])}" if "index" in batch else ""
        raise BadData(
            f"label {int(target[wrong[0]])}{sample} is out of range: the model answers for {classes} classes, so a "
            f"label is 0 … {classes - 1}"
        ) from None

"""Tagging: a label for every token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Max, Task
from descend.functional import Mean
from descend.losses import cross_entropy
from descend.models.text.encoders import Kept
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Tag(Task):
    """Learns p(label | token, text) by -log p, averaged over tokens; answers with a label for each.

    >>> task = Tag(Tagger(RecurrentEncoder(LSTM(), codec.vocabulary, 64, 128), 128, data.classes), AdamW(1e-3))

    A batch holds ``tokens`` [batch, time], ``kept``, and ``target`` [batch, time], -100 where nothing is asked.

    Args:
        model: gives logits [batch, time, classes]: `Tagger`.
        optimizer: how it is moved.
    """

    goal = Max("accuracy")

    def __init__(self, model: nn.Module, optimizer: Optimizer):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.descent = Descent(model, optimizer)

    def forward(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch time classes"]:
        """Logits."""
        return self.model(tokens, kept)

    def loss(self, batch: Batch) -> Mean:
        return cross_entropy(self(**batch.inputs).mT, batch["target"])

    def predict(self, **inputs: Tensor) -> Float[Tensor, "batch time classes"]:
        """Probabilities; those of each token sum to 1."""
        with torch.no_grad():
            return self(**inputs).float().softmax(2)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import Accuracy, MeanLoss

        return MetricCollection({"accuracy": Accuracy(), "loss": MeanLoss()})

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        logits = self(**batch.inputs).float().mT
        metrics["loss"].update(cross_entropy(logits, batch["target"]))
        metrics["accuracy"].update(logits, batch["target"])

"""Question answering over a text: where in it the answer stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Max, Task
from descend.functional import Mean
from descend.losses import cross_entropy
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Answer(Task):
    """Learns the first and the last token of the answer, -log p of both, averaged over questions (Devlin et al. 2019,
    section 4.2); answers with the likeliest stretch.

    >>> task = Answer(Tagger(BERT(codec.vocabulary, 128, 4, 4), 128, classes=2), AdamW(1e-3))

    A batch holds ``tokens`` [batch, time], a question and a text behind it, ``kept``, ``segments``, which are 1 in the
    text, and ``target`` [batch, 2].

    Args:
        model: gives logits [batch, time, 2] of being the first and the last token: `Tagger`.
        optimizer: how it is moved.
        most: tokens of an answer.
    """

    goal = Max("exact")

    def __init__(self, model: nn.Module, optimizer: Optimizer, most: int = 30):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.most = most
        self.descent = Descent(model, optimizer)

    def forward(
        self,
        tokens: Int[Tensor, "batch time"],
        segments: Int[Tensor, "batch time"],
        kept: Bool[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time 2"]:
        """Logits; -∞ outside of the text."""
        inside = segments == 1 if kept is None else (segments == 1) & kept
        return self.model(tokens, kept, segments).float().masked_fill(~inside[:, :, None], -torch.inf)

    def loss(self, batch: Batch) -> Mean:
        logits, target = self(**batch.inputs), batch["target"]
        return cross_entropy(logits.mT.flatten(0, 1), target.flatten())

    def predict(self, **inputs: Tensor) -> Int[Tensor, "batch 2"]:
        """First and last token of the likeliest stretch."""
        with torch.no_grad():
            return self._best(self(**inputs))

    def _best(self, logits: Float[Tensor, "batch time 2"]) -> Int[Tensor, "batch 2"]:
        time = logits.shape[1]
        both = logits[:, :, None, 0] + logits[:, None, :, 1]
        possible = torch.ones(time, time, dtype=torch.bool, device=logits.device).triu().tril(self.most - 1)
        place = both.masked_fill(~possible, -torch.inf).flatten(1).argmax(1)
        return torch.stack([place // time, place % time], 1)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MeanMetric, MetricCollection

        from descend.metrics import MeanLoss

        return MetricCollection({"exact": MeanMetric(), "loss": MeanLoss()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """``exact``: the share of questions whose whole answer was found."""
        logits, target = self(**batch.inputs), batch["target"]
        metrics["loss"].update(cross_entropy(logits.mT.flatten(0, 1), target.flatten()))
        metrics["exact"].update((self._best(logits) == target).all(1).float())

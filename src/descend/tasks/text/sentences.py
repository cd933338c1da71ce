"""Sentence embeddings: texts of one meaning lie near each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from descend.data import Batch
from descend.data.vocabulary import PAD
from descend.engine import Descent, Max, Task
from descend.functional import Mean
from descend.losses import info_nce
from descend.models.text.encoders import Kept, MeanOfTokens, Summary
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Sentences(Task):
    """Learns that a text is nearer to its own answer than to all other texts of its batch (`losses.info_nce`; Gao et
    al. 2021, section 4). Answers a text with its point on the sphere.

    >>> task = Sentences(BERT(codec.vocabulary, 128, 4, 4), AdamW(1e-3))

    A batch holds ``tokens`` [batch, time], ``kept``, and ``target`` [batch, told], the tokens of the other text, -100
    behind.

    Args:
        model: an encoder, from ``tokens`` and ``kept`` to [batch, time, width].
        optimizer: how it is moved.
        summary: what of it stands for the text.
        temperature: of cosines, > 0.
    """

    goal = Max("found")

    def __init__(
        self, model: nn.Module, optimizer: Optimizer, summary: Summary = MeanOfTokens(), temperature: float = 0.05
    ):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.summary = summary
        self.temperature = temperature
        self.descent = Descent(model, optimizer)

    def forward(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch width"]:
        """Points of length 1."""
        return functional.normalize(self.summary(self.model(tokens, kept), kept).float(), dim=1)

    def _pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Points of texts and of answers."""
        target = batch["target"]
        return self(batch["tokens"], batch.get("kept")), self(target.clamp(min=PAD), target >= 0)

    def loss(self, batch: Batch) -> Mean:
        return info_nce(*self._pairs(batch), self.temperature)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MeanMetric, MetricCollection

        from descend.metrics import MeanLoss

        return MetricCollection({"found": MeanMetric(), "loss": MeanLoss()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """``found``: the share of texts whose own answer is the nearest of those in the batch."""
        texts, answers = self._pairs(batch)
        metrics["loss"].update(info_nce(texts, answers, self.temperature))
        nearest = (texts @ answers.T).argmax(1) == torch.arange(len(texts), device=texts.device)
        metrics["found"].update(nearest.float())

"""Translation, and whatever else makes a text of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.data import Batch, TextCodec
from descend.data.vocabulary import BEGIN, PAD
from descend.engine import Descent, Goal, Max, Task
from descend.functional import Mean
from descend.models.text.encoders import Kept
from descend.optim import Optimizer
from descend.tasks.text.generate import beams

if TYPE_CHECKING:
    from torchmetrics import Metric, MetricCollection

TOGETHER = 128
"""Texts that are answered at once."""


class Translate(Task):
    """Learns p(answer | text) token by token, -log p, averaged over the answers' tokens; answers by beams, which are
    scored as texts, by BLEU.

    >>> task = Translate(Transformer(codec.vocabulary, 128, 4, 4, SinusoidalPositions(128)), AdamW(1e-3), codec)

    A batch holds ``tokens`` [batch, time], ``kept``, which of them are no padding, and ``target`` [batch, told], the
    answers' tokens and the one that ends them, -100 behind.

    Args:
        model: `Transformer`, `RecurrentTranslator`, `Copying`.
        optimizer: how it is moved.
        codec: of the answers, which must become texts to be scored.
        label_smoothing: share of the target spread over the vocabulary, 0 … 1.
        beams: candidates that are followed.
        most: tokens of an answer; no more than twice as many as the text's, and ten.
        penalty: of length, as of `beams`.
        begin: the token that answers begin behind.
        never: tokens that are not told.
    """

    goal: Goal = Max("bleu")

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        codec: TextCodec,
        label_smoothing: float = 0.1,
        beams: int = 5,
        most: int = 100,
        penalty: float = 0.6,
        begin: int = BEGIN,
        never: Sequence[int] = (),
    ):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.codec = codec
        self.label_smoothing = label_smoothing
        self.beams = beams
        self.most = most
        self.penalty = penalty
        self.begin = begin
        self.never = never
        self.descent = Descent(model, optimizer)

    def forward(
        self, tokens: Int[Tensor, "batch time"], answer: Int[Tensor, "batch told"], kept: Kept = None
    ) -> Float[Tensor, "batch told vocabulary"]:
        """Logits of the answer's next token, at every place."""
        return self.model(tokens, answer, kept)

    def _loss(self, batch: Batch, label_smoothing: float) -> Mean:
        target = batch["target"]
        before = torch.full_like(target[:, :1], self.begin)
        answer = torch.cat([before, target[:, :-1].masked_fill(target[:, :-1] < 0, PAD)], 1)
        return self.model.surprise(batch["tokens"], answer, target, batch.get("kept"), label_smoothing)  # type: ignore[operator]

    def loss(self, batch: Batch) -> Mean:
        return self._loss(batch, self.label_smoothing)

    def predict(self, **inputs: Tensor) -> Int[Tensor, "batch most"]:
        """The answers' tokens; behind an end, ends."""
        tokens, kept = inputs["tokens"], inputs.get("kept")
        told = torch.full((len(tokens), self.most), self.codec.end, device=tokens.device)
        with torch.no_grad():
            for rows in torch.arange(len(tokens), device=tokens.device).split(TOGETHER):
                first = torch.full((len(rows),), self.begin, device=tokens.device)
                own = None if kept is None else kept[rows]
                read = torch.full_like(rows, tokens.shape[1]) if own is None else own.sum(1)
                most = (2 * read + 10).clamp(max=min(self.most, getattr(self.model, "length", None) or self.most))
                memory = self.model.memory(tokens[rows], own, self.beams, int(most.max()))  # type: ignore[operator]
                found = beams(memory, first, most, self.beams, self.codec.end, self.penalty, self.never)
                for row, answer in zip(rows.tolist(), found, strict=True):
                    told[row, : len(answer)] = torch.tensor(answer, dtype=told.dtype, device=told.device)
        return told

    def scores(self) -> dict[str, Metric]:
        """Of told and meant texts."""
        from descend.metrics import BLEU

        return {"bleu": BLEU()}

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import MeanLoss

        return MetricCollection({"loss": MeanLoss(), **self.scores()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """The loss without smoothing, so that runs can be compared."""
        told = [self.codec.text(row) for row in self.predict(**batch.inputs).tolist()]
        meant = [self.codec.text(row) for row in batch["target"].tolist()]
        for name, metric in metrics.items(copy_state=False):
            if name == "loss":
                metric.update(self._loss(batch, 0.0))
            else:
                metric.update(told, meant)


class Summarise(Translate):
    """`Translate` whose answers are scored by ROUGE-L, as a text may be told in fewer words in many ways. Args: as
    there."""

    goal: Goal = Max("rouge_l")

    def scores(self) -> dict[str, Metric]:
        from descend.metrics import RougeL

        return {"rouge_l": RougeL()}

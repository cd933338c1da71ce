"""Evaluation: every sample once, whatever the batch size, and no more kept than an exact metric needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from descend.data import Data
from descend.engine.compute import Compute
from descend.engine.ranks import Ranks
from descend.engine.task import Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


NUMBERS = 2**22
"""Of one batch: a thousand small pictures, or sixteen of 512×512, whose feature maps take some GB."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        scores: numbers by name.
        tables: what is no single number (a confusion matrix), by name.
        samples: how many were seen.
        kept: bytes that the metrics held on the device at the end.
        seconds: how long it took.
    """

    scores: dict[str, float]
    tables: dict[str, list] = field(default_factory=dict)
    samples: int = 0
    kept: int = 0
    seconds: float = 0.0


def evaluate(
    task: Task,
    data: Data,
    batch: int | None = None,
    compute: Compute | None = None,
    ranks: Ranks | None = None,
    say: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score a task on data, with its averaged weights where it keeps any, in evaluation mode.

    A batch is 1,000 samples, or as many as hold `NUMBERS`; ``batch`` tells it otherwise. Ranks take every so-many-th
    sample; their metrics are summed at the end. ``say`` is told before the second batch
    what the metrics will keep, when that grows with the number of samples.

    Raises:
        ValueError: there is no sample.
    """
    ranks = ranks or Ranks()
    device = task.progress.device
    compute = compute or Compute(device.type)
    own = torch.arange(len(data))[ranks.rank :: ranks.size]
    if len(data) == 0:
        raise ValueError("evaluate was given data without a sample")
    start, training = time.perf_counter(), task.training
    metrics = task.metrics().to(device)
    task.eval()
    try:
        with torch.no_grad(), task.averaged(), compute.autocast():
            for number, index in enumerate(own.split((batch or _fitting(data)) if data.alike else 1)):
                task.evaluate(data.gather(index).to(device), metrics)
                if number == 0 and say is not None:
                    _announce(metrics, len(index), len(own), say)
    finally:
        task.train(training)
    kept = sum(_bytes(metrics))
    computed: Mapping[str, Tensor] = metrics.compute()
    scores = {name: value.item() for name, value in computed.items() if value.numel() == 1}
    tables = {name: value.tolist() for name, value in computed.items() if value.numel() != 1}
    return Evaluation(scores, tables, len(data), kept, time.perf_counter() - start)


def _fitting(data: Data) -> int:
    """Samples of one batch."""
    leaves = [value for value in data.gather(torch.tensor([0])).values() if isinstance(value, Tensor)]
    return max(1, min(1000, NUMBERS // max(1, sum(leaf.numel() for leaf in leaves))))


def _bytes(metrics: MetricCollection) -> tuple[int, int]:
    """Bytes held by states of fixed size, and by lists that grow with the samples."""
    fixed = growing = 0
    for metric in metrics.values():
        for name in metric._defaults:
            state = getattr(metric, name)
            if isinstance(state, Tensor):
                fixed += state.nbytes
            else:
                growing += sum(piece.nbytes for piece in state)
    return fixed, growing


def _announce(metrics: MetricCollection, seen: int, samples: int, say: Callable[[str], None]) -> None:
    fixed, growing = _bytes(metrics)
    if growing:
        total = fixed + growing * samples / seen
        say(f"evaluating {samples:,} samples: the exact metrics keep {total / 2**20:.1f} MiB of predictions")

"""A task is networks plus how one batch teaches them.

Most tasks write `loss` alone. A paradigm that needs more (two descents, a teacher that follows) overrides `step`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from descend.data import Batch, Codec, Splits
from descend.engine.descent import Descent
from descend.engine.goal import Goal, Min
from descend.engine.passes import Metrics, whole
from descend.functional import Mean

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Task(nn.Module):
    """Base of every way of learning.

    A task stores its constructor's arguments verbatim, holds its networks as attributes and its state in buffers, and
    sets ``self.descent = Descent(self.model, optimizer)``. The engine calls `step` once an update, with the whole
    global batch.

    >>> class Fit(Task):
    ...     def __init__(self, model, optimizer):
    ...         super().__init__()
    ...         self.model, self.optimizer = model, optimizer
    ...         self.descent = Descent(model, optimizer)
    ...     def loss(self, batch):
    ...         return mse(self.model(batch["x"]), batch["target"])

    Attributes:
        goal: the metric that is watched, and which way is better.
        progress: a scalar tensor from 0 towards 1, set by the engine before every step (ε, τ, warm-ups).
    """

    goal: Goal = Min("loss")
    descent: Descent
    progress: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("progress", torch.zeros(()), persistent=False)

    def loss(self, batch: Batch) -> Mean | dict[str, Mean]:
        """What is descended; of a dictionary, the sum."""
        raise NotImplementedError(f"{type(self).__name__} defines neither loss(batch) nor step(batch)")

    def step(self, batch: Batch) -> Metrics:
        """One update; returns scalars by name, detached."""
        return self.descent(self.loss, batch)

    def predict(self, **inputs: Tensor) -> Any:
        """What the task answers, without gradients; by default what `forward` returns."""
        with torch.no_grad():
            return self(**inputs)

    def metrics(self) -> MetricCollection:
        """Fresh metrics for one evaluation, by name; by default the mean loss."""
        from torchmetrics import MetricCollection

        from descend.metrics import MeanLoss

        return MetricCollection({"loss": MeanLoss()})

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """Update the metrics with one batch: the loss by its counts, all others with prediction and target."""
        rest = []
        for name, metric in metrics.items(copy_state=False):
            if name == "loss":
                metric.update(whole(self.loss(batch)))
            else:
                rest.append(metric)
        outputs = self.predict(**batch.inputs) if rest else None
        for metric in rest:
            metric.update(outputs, batch["target"])

    def complete(self, codec: Codec, data: Splits) -> Codec:
        """Asked once, with the weights that are kept: the codec they answer through, with what it must know of them
        (examples to compare with, thresholds), from training and validation data; by default as it is."""
        return codec

    def descents(self) -> dict[str, Descent]:
        """Every descent of this task and of the tasks inside it that has something to move, by its name; those of a
        task that stays as it is, inside another, have nothing."""
        found = {}
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                known = any(value is other for other in found.values())
                if isinstance(value, Descent) and not known and value.moves():
                    found[f"{path}.{name}" if path else name] = value
        return found

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, every descent's modules hold their averaged weights, where such are kept."""
        with ExitStack() as stack:
            for descent in self.descents().values():
                stack.enter_context(descent.averaged())
            yield

"""Regression: one or several numbers for each example, or quantiles of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Min, Task
from descend.functional import Mean
from descend.losses import mse, quantile
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Regress(Task):
    """Learns numbers. The network works on standardised targets; everything outside is in the targets' own units.

    Args:
        model: gives [batch, targets] for the batch's inputs, or [batch, targets · quantiles].
        optimizer: how the model is moved.
        mean, std: of each target over the training rows (a codec's ``target_mean``, ``target_std``).
        quantiles: which ones to learn by the pinball loss, each in (0, 1) (Koenker and Bassett 1978); the middle one
            is the point prediction. None learns by ``criterion``.
        criterion: of (prediction, target), both standardised: `mse`, `mae`, `huber`.
    """

    goal = Min("rmse")
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        quantiles: tuple[float, ...] | None = None,
        criterion: Callable[[Tensor, Tensor], Mean] = mse,
    ):
        super().__init__()
        if quantiles is not None and not (quantiles and all(0 < q < 1 for q in quantiles)):
            raise ValueError(f"quantiles are {quantiles}: give one or more numbers between 0 and 1")
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(f"mean {mean} and std {std} hold one number a target, each std above 0")
        self.model = model
        self.optimizer = optimizer
        self.mean = mean
        self.std = std
        self.quantiles = quantiles
        self.criterion = criterion
        self.register_buffer("shift", torch.tensor(mean), persistent=False)
        self.register_buffer("scale", torch.tensor(std), persistent=False)
        self.descent = Descent(model, optimizer)

    def forward(self, **inputs: Tensor) -> Float[Tensor, "batch targets *quantiles"]:
        """Predictions in the targets' own units."""
        outputs = self.model(**inputs).float()
        if self.quantiles is None:
            return outputs * self.scale + self.shift
        outputs = outputs.unflatten(1, (len(self.mean), len(self.quantiles)))
        return outputs * self.scale[:, None] + self.shift[:, None]

    def loss(self, batch: Batch) -> Mean:
        return self._compare(self(**batch.inputs), batch["target"])

    def predict(self, **inputs: Tensor) -> Float[Tensor, "batch targets *quantiles"]:
        """In the targets' own units; with quantiles, each sorted so that they never cross."""
        with torch.no_grad():
            outputs = self(**inputs)
            return outputs if self.quantiles is None else outputs.sort(-1).values

    def metrics(self) -> MetricCollection:
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

        from descend.metrics import MeanLoss

        numbers = {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": R2Score()}
        return MetricCollection({**numbers, "loss": MeanLoss()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """One forward pass for all metrics; the point metrics take all targets of all samples together."""
        outputs, target = self(**batch.inputs), batch["target"]
        metrics["loss"].update(self._compare(outputs, target))
        if self.quantiles is not None:
            outputs = outputs.sort(-1).values[..., len(self.quantiles) // 2]
        point, truth = outputs.reshape(-1), target.reshape(-1).float()
        for name in ("rmse", "mae", "r2"):
            metrics[name].update(point, truth)

    def _compare(self, outputs: Tensor, target: Tensor) -> Mean:
        truth = (target.view(len(target), -1).float() - self.shift) / self.scale
        if self.quantiles is None:
            return self.criterion((outputs - self.shift) / self.scale, truth)
        standard = (outputs - self.shift[:, None]) / self.scale[:, None]
        return quantile(standard, truth, self.quantiles)

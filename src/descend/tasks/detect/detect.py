"""Detection: which things are in a picture, and where."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Max, Task
from descend.functional import Mean
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

MOST = 100
"""Answers about a picture, as COCO counts them."""


class Learn(ABC):
    """How a detector's outputs are taught, and what they mean."""

    @abstractmethod
    def outputs(self, model: nn.Module, x: Tensor, boxes: Tensor, target: Tensor) -> Any:
        """What the model says while it learns."""

    @abstractmethod
    def loss(
        self,
        outputs: Any,
        boxes: Float[Tensor, "batch most 4"],
        target: Int[Tensor, "batch most"],
        size: tuple[int, int],
    ) -> dict[str, Mean]:
        """Args: boxes, target: corners in pixels, and classes, -1 where there is none; size: height and width."""

    @abstractmethod
    def answers(self, outputs: Any, size: tuple[int, int]) -> Float[Tensor, "batch most 6"]:
        """Left, top, right, bottom (pixels), confidence and class, the surest first; the rest is 0."""


class Detect(Task):
    """Learns boxes and their classes.

    >>> task = Detect(FCOS(backbone, 3), Dense(), AdamW(1e-3, schedule=Cosine()))
    >>> task = Detect(DETR(backbone, 3, AnchoredQueries(6, 6, 128)), Sets(), AdamW(3e-4))

    A batch holds ``x``, ``boxes`` [batch, most, 4] (left, top, right, bottom, in pixels) and ``target`` [batch, most],
    their classes, -1 where a picture has fewer.

    Args:
        model: gives what ``learn`` takes.
        learn: `Dense` for what every place says, `Sets` for what queries say.
        optimizer: how the model is moved.
    """

    goal = Max("map50")

    def __init__(self, model: nn.Module, learn: Learn, optimizer: Optimizer):
        super().__init__()
        self.model = model
        self.learn = learn
        self.optimizer = optimizer
        self.descent = Descent(model, optimizer)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Any:
        return self.model(x)

    def loss(self, batch: Batch) -> dict[str, Mean]:
        x, boxes = batch["x"], batch["boxes"]
        target = _there(boxes, batch["target"])
        classes = int(self.model.classes)  # type: ignore[arg-type]
        if bool((target >= classes).any()):
            raise ValueError(
                f"a thing is of class {int(target.max())}, and the model knows 0 … {classes - 1}: build it for as many "
                "classes as the data have"
            )
        outputs = self.learn.outputs(self.model, x, boxes, target)
        return self.learn.loss(outputs, boxes, target, (x.shape[2], x.shape[3]))

    def predict(self, **inputs: Tensor) -> Float[Tensor, "batch most 6"]:
        """Left, top, right, bottom (pixels), confidence and class, the surest first; the rest is 0."""
        with torch.no_grad():
            height, width = inputs["x"].shape[2:]
            return self.learn.answers(self(**inputs), (height, width))

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import AveragePrecision, MeanAveragePrecision

        classes = int(self.model.classes)  # type: ignore[arg-type]
        return MetricCollection(
            {
                "map50": MeanAveragePrecision(classes, 0.5),
                "map75": MeanAveragePrecision(classes, 0.75),
                "ap50": AveragePrecision(classes, 0.5),
            },
            compute_groups=[["map50", "ap50"], ["map75"]],
        )

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        metrics.update(self.predict(x=batch["x"]), batch["boxes"], _there(batch["boxes"], batch["target"]))


def _there(boxes: Float[Tensor, "batch most 4"], target: Int[Tensor, "batch most"]) -> Int[Tensor, "batch most"]:
    """-1 also where a box has no area: what was moved out of the picture is no more there."""
    return target.where((boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1]), -1)


def padded(rows: list[Float[Tensor, "_ 6"]]) -> Float[Tensor, "batch most 6"]:
    """Answers of several pictures, at most `MOST` each, filled up with zeros."""
    whole = rows[0].new_zeros(len(rows), MOST, 6)
    for place, row in enumerate(rows):
        whole[place, : len(row)] = row[:MOST]
    return whole

"""Finding boxes: two terms that count differently, cells and boxes, over pictures that hold none to three boxes each
(after YOLO, Redmon et al. 2016, section 2.2)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from descend.data import Batch, Data, Loader, Tensors
from descend.engine import Descent, Experiment, Task, recipe
from descend.functional import Mean, keyed
from descend.optim import AdamW, Cosine, Optimizer

SIDE, CELL, MOST = 24, 6, 3
GRID = SIDE // CELL


class Scenes(Batch):
    """Pictures ``x``, the boxes of all of them in one list (centre and size, pixels), and ``held``, boxes a picture."""

    def split(self, parts: int) -> list[Batch]:
        pieces = Batch({name: tensor for name, tensor in self.items() if name != "boxes"}).split(parts)
        boxes = self["boxes"].split([int(piece["held"].sum()) for piece in pieces])
        return [Scenes({**piece, "boxes": own}) for piece, own in zip(pieces, boxes, strict=True)]


class Pictures(Data):
    """Rows hold room for three boxes; a batch holds only those that are there."""

    def __init__(self, rows: Tensors):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, index: Int[Tensor, "batch"]) -> Scenes:
        rows = self.rows.gather(index)
        there = torch.arange(MOST) < rows["held"][:, None]
        return Scenes({**rows, "boxes": rows["boxes"][there]})

    def fingerprint(self) -> str:
        return self.rows.fingerprint()


class Eye(nn.Module):
    """A few convolutions that end in a grid of cells, [object, centre, size] each."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1), nn.ReLU(), nn.Conv2d(4 * width, 5, 1),
        )

    def forward(self, x: Float[Tensor, "batch 1 24 24"]) -> Float[Tensor, "batch 5 4 4"]:
        return self.layers(x)


class Detect(Task):
    """Each cell says whether the centre of a box lies in it; the cells where one does are also taught the box."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, weight: float = 2.0):
        super().__init__()
        self.model, self.optimizer, self.weight = model, optimizer, weight
        self.descent = Descent(model, optimizer)

    def forward(self, x: Float[Tensor, "batch 1 24 24"]) -> Float[Tensor, "batch 5 4 4"]:
        return self.model(x)

    def loss(self, batch: Batch) -> dict[str, Mean]:
        outputs, boxes, place = self(batch["x"]), batch["boxes"], places(batch)
        picture, row, column = place
        there = torch.zeros_like(outputs[:, 0])
        there[place] = 1.0
        wrong = smooth_l1_loss(outputs[picture, 1:, row, column], boxes / CELL - corner(place), reduction="none")
        return {
            "cells": Mean.of(binary_cross_entropy_with_logits(outputs[:, 0], there, reduction="none")),
            "boxes": self.weight * Mean.of(wrong.sum(1)),
        }


def places(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Picture, row and column of the cell of every box."""
    column, row = (batch["boxes"][:, :2] / CELL).long().unbind(1)
    return torch.arange(len(batch)).repeat_interleave(batch["held"]), row, column


def corner(place: tuple[Tensor, Tensor, Tensor]) -> Float[Tensor, "boxes 4"]:
    """What a cell's own place adds to a box, in cells: it knows centres from its corner on."""
    _, row, column = place
    return torch.stack([column, row, 0 * row, 0 * row], 1).float()


def scenes(n: int, seed: int) -> Pictures:
    """Noisy pictures with bright rectangles, their centres in different cells."""
    g = keyed.generator(seed)
    held = torch.randint(MOST + 1, (n,), generator=g)
    cells = torch.rand(n, GRID * GRID, generator=g).argsort(1)[:, :MOST]
    inside = torch.rand(n, MOST, 2, generator=g)
    centre = (torch.stack([cells % GRID, cells // GRID], 2) + inside) * CELL
    boxes = torch.cat([centre, 4 + 4 * torch.rand(n, MOST, 2, generator=g)], 2)
    there = torch.arange(MOST) < held[:, None]
    pixel = torch.arange(SIDE) + 0.5
    across, down = ((pixel - boxes[..., i, None]).abs() < boxes[..., i + 2, None] / 2 for i in (0, 1))
    filled = (down[..., :, None] & across[..., None, :] & there[..., None, None]).any(1)
    x = filled[:, None] + 0.2 * torch.randn(n, 1, SIDE, SIDE, generator=g)
    return Pictures(Tensors(x=x, held=held, boxes=boxes))


@recipe
def page(width: int = 16, lr: float = 5e-3, batch: int = 32, epochs: int = 12) -> Experiment:
    """Find bright boxes in small noisy pictures."""
    task = Detect(Eye(width), AdamW(lr, schedule=Cosine()))
    return Experiment(task=task, data=Loader(scenes(2000, 1), batch), epochs=epochs)


def score(task: Detect) -> float:
    """F1 over 500 new pictures; a box counts as found where its cell says so and half of the union is shared."""
    batch = scenes(500, 2).gather(torch.arange(500))
    outputs, place = task.predict(x=batch["x"]), places(batch)
    said = outputs[:, 0] > 0
    picture, row, column = place
    boxes, guess = batch["boxes"], (outputs[picture, 1:, row, column] + corner(place)) * CELL
    ends = torch.minimum(*(b[:, :2] + b[:, 2:] / 2 for b in (boxes, guess)))
    starts = torch.maximum(*(b[:, :2] - b[:, 2:] / 2 for b in (boxes, guess)))
    shared = (ends - starts).clamp(min=0).prod(1)
    overlap = shared / (boxes[:, 2:].prod(1) + guess[:, 2:].prod(1) - shared)
    found = int((said[place] & (overlap > 0.5)).sum())
    return 2 * found / (int(said.sum()) + len(boxes))

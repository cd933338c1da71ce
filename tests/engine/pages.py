"""Small tasks for the engine's own tests."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from descend.data import Batch, Loader, Tensors
from descend.engine import Choice, Descent, Experiment, Min, Task, recipe
from descend.functional import Mean, keyed
from descend.losses import mse
from descend.models import MLP
from descend.optim import SGD, Optimizer


class Line(Task):
    """Least squares, with dropout so that the step's randomness matters."""

    goal = Min("loss")

    def __init__(self, model: nn.Module, optimizer: Optimizer):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.descent = Descent(model, optimizer)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)

    def loss(self, batch: Batch) -> Mean:
        return mse(self(batch["x"]), batch["target"])


class TwoCounts(Line):
    """Two terms that count differently: samples, and the ones among them that are marked."""

    def loss(self, batch: Batch) -> dict[str, Mean]:
        outputs = self(batch["x"])
        marked = batch["target"][:, 0] > 0.3
        each = (outputs - batch["target"]).abs().sum(1)
        return {"all": mse(outputs, batch["target"]), "marked": 0.7 * Mean((each * marked).sum(), marked.sum())}


def network(dropout: float = 0.0) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 2))


def points(n: int = 101, dtype: torch.dtype = torch.float32) -> Tensors:
    generator = keyed.generator(7)
    x = torch.randn(n, 6, generator=generator, dtype=dtype)
    return Tensors(x=x, target=torch.stack([x[:, :3].sum(1).sin(), x[:, 3] * x[:, 4]], 1))


@recipe
def line(
    steps: int = 60, lr: float = 0.05, kind: Annotated[type, Choice(plain=Line, counts=TwoCounts)] = Line
) -> Experiment:
    """Fit a wavy surface.

    descend train pages.py
    """
    model = MLP(6, 16, out=2, dropout=0.2)
    return Experiment(task=kind(model, SGD(lr, momentum=0.9)), data=Loader(points(), 16), steps=steps)

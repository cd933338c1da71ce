"""Searching for an operation by two nested descents: the operations' weights learn from training samples, the choice
among them from validation samples (DARTS, first order; Liu et al. 2019, algorithm 1 with ξ = 0)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.data import Batch, Loader, Tensors, Zip
from descend.engine import Descent, Experiment, Metrics, Task, recipe
from descend.functional import Mean
from descend.losses import mse
from descend.models import MLP
from descend.optim import Adam, Optimizer

RIGHT = 1


class Waves(nn.Module):
    """A weighted sum of cosines: what the data are made of."""

    def __init__(self, features: int):
        super().__init__()
        self.features = features
        self.weigh = nn.Linear(features, 1)

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch 1"]:
        return self.weigh(torch.cos(math.pi * x))


class Choice(nn.Module):
    """How much of each operation is taken."""

    def __init__(self, operations: int):
        super().__init__()
        self.operations = operations
        self.strength = nn.Parameter(torch.zeros(operations))

    def forward(self) -> Float[Tensor, "operations"]:
        return self.strength.softmax(0)


class Search(Task):
    """A mixture of operations, of which one is to be left."""

    def __init__(self, operations: tuple[nn.Module, ...], learning: Optimizer, choosing: Optimizer):
        super().__init__()
        self.operations, self.learning, self.choosing = operations, learning, choosing
        self.candidates = nn.ModuleList(operations)
        self.choice = Choice(len(operations))
        self.learn = Descent(self.candidates, learning)
        self.choose = Descent(self.choice, choosing)

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch 1"]:
        return torch.cat([operation(x) for operation in self.candidates], 1) @ self.choice()[:, None]

    def loss(self, batch: Batch) -> Mean:
        return mse(self(batch["x"]), batch["target"])

    def step(self, batch: Batch) -> Metrics:
        chosen = self.choose(self.loss, batch["valid"])
        return {**self.learn(self.loss, batch["train"]), "valid": chosen["loss"]}


def samples(n: int, noise: float = 0.5) -> Tensors:
    x = 2 * torch.rand(n, 6) - 1
    weights = torch.tensor([1.0, -1.0, 0.8, -0.8, 0.6, -0.6])
    return Tensors(x=x, target=torch.cos(math.pi * x) @ weights[:, None] + noise * torch.randn(n, 1))


@recipe
def page(lr: float = 3e-3, choice_lr: float = 1e-2, steps: int = 1000) -> Experiment:
    """Find out that the data are waves: a plane cannot follow them, and a wide network learns their noise as well."""
    operations = (MLP(6, out=1), Waves(6), MLP(6, 256, out=1))
    data = Zip(train=Loader(samples(48), 48), valid=Loader(samples(48), 48))
    return Experiment(task=Search(operations, Adam(lr), Adam(choice_lr)), data=data, steps=steps)


def score(task: Search) -> float:
    """The weight of the right operation in the mixture, 0 to 1."""
    return task.choice()[RIGHT].item()

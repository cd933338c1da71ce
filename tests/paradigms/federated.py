"""Learning from clients that keep their data: each trains a copy for a while, the server averages what they come back
with (FedAvg, McMahan et al. 2017, algorithm 1)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, grad

from descend.data import Batch, Loader, Tensors, datasets
from descend.engine import Descent, Experiment, Max, Metrics, recipe
from descend.functional import keyed
from descend.losses import cross_entropy
from descend.models import MLP
from descend.optim import SGD, Optimizer
from descend.tasks import Classify

Weights = dict[str, Tensor]


class Federated(Classify):
    """One step is a round; the batch's samples are clients, ``x`` and ``target`` what they hold, ``rows`` how much."""

    goal = Max("accuracy")

    def __init__(self, model: nn.Module, optimizer: Optimizer, lr: float = 0.1, epochs: int = 2, size: int = 16):
        super().__init__(model, optimizer)
        self.lr, self.epochs, self.size = lr, epochs, size

    def step(self, batch: Batch) -> Metrics:
        """The server follows the mean of its clients' ways, each counted by its rows."""
        here = {name: p.detach() for name, p in self.model.named_parameters()}
        share = batch["rows"] / batch["rows"].sum()
        gradients = {name: torch.zeros_like(p) for name, p in here.items()}
        for x, target, rows, weight in zip(batch["x"], batch["target"], batch["rows"].tolist(), share, strict=True):
            there = self.visit(here, x[:rows], target[:rows])
            for name, gradient in gradients.items():
                gradient += weight * (here[name] - there[name])
        self.descent.apply(gradients)
        return {"moved": torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt()}

    def visit(self, weights: Weights, x: Float[Tensor, "rows *shape"], target: Int[Tensor, "rows"]) -> Weights:
        """What a client makes of the weights: plain descent on its own samples."""
        slope = grad(lambda w, x, y: cross_entropy(functional_call(self.model, w, (x,)), y).value())
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(self.size):
                step = slope(weights, x[rows], target[rows])
                weights = {name: w - self.lr * step[name] for name, w in weights.items()}
        return weights


def clients(data: Tensors, number: int = 10, kinds: int = 2) -> Tensors:
    """The samples dealt to clients that each see few classes: sorted by label, cut into shards, two a client."""
    rows = data.gather(torch.arange(len(data)))
    shards = rows["target"].argsort(stable=True).tensor_split(number * kinds)
    order = keyed.permutation(number * kinds, 3).view(number, kinds)
    held = [torch.cat([shards[shard] for shard in mine]) for mine in order.tolist()]
    longest = max(len(one) for one in held)
    padded = torch.stack([torch.cat([one, one.new_zeros(longest - len(one))]) for one in held])
    return Tensors(x=rows["x"][padded], target=rows["target"][padded], rows=torch.tensor([len(one) for one in held]))


@recipe
def page(hidden: int = 64, lr: float = 0.1, rounds: int = 60) -> Experiment:
    """Read digits that lie with ten clients, most of whom have seen two or three kinds of digit."""
    task = Federated(MLP(64, hidden, out=10), SGD(1.0), lr)
    return Experiment(task=task, data=Loader(clients(datasets.digits().train), 10), steps=rounds)


@recipe
def central(hidden: int = 64, lr: float = 0.1, rounds: int = 60) -> Experiment:
    """The same network, and as many looks at each sample, with all samples in one place."""
    task = Classify(MLP(64, hidden, out=10), SGD(lr))
    return Experiment(task=task, data=Loader(datasets.digits().train, 16), steps=rounds * 2 * 90)


def score(task: Classify) -> float:
    """Accuracy on digits that no client holds."""
    from descend.engine import evaluate

    return evaluate(task, datasets.digits().test).scores["accuracy"]

"""Learning from clients that keep their data: each trains a copy for a while, the server averages what they come back
with (FedAvg, McMahan et al. 2017, algorithm 1)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from descend.data import Batch, Data, Loader, Tensors, datasets
from descend.engine import Descent, Experiment, Metrics, evaluate, recipe
from descend.functional import keyed
from descend.losses import cross_entropy
from descend.models import MLP
from descend.optim import SGD, Optimizer
from descend.tasks import Classify


class Federated(Classify):
    """One step is a round. The batch's samples are clients: ``index`` says who, ``x`` and ``target`` are what each
    holds, and ``rows`` how much that is."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, local: Optimizer, size: int = 16):
        super().__init__(model, optimizer)
        self.local, self.size = local, size

    def step(self, batch: Batch) -> Metrics:
        """The server goes the mean of its clients' ways, each counted by its rows."""
        here = dict(self.model.named_parameters())
        ways = {name: torch.zeros_like(p) for name, p in here.items()}
        for x, target, rows in zip(batch["x"], batch["target"], batch["rows"].tolist(), strict=True):
            there = self.visit(Batch(x=x[:rows], target=target[:rows]))
            for name, way in ways.items():
                way += (here[name].detach() - there[name]) * (rows / batch["rows"].sum())
        self.descent.apply(ways)
        return {"way": torch.stack([way.square().sum() for way in ways.values()]).sum().sqrt()}

    def visit(self, held: Batch) -> dict[str, Tensor]:
        """What a client makes of the weights, passing once over what it holds."""
        guest = copy.deepcopy(self.model)
        descent = Descent(guest, self.local)
        for rows in torch.randperm(len(held)).split(self.size):
            part = Batch({name: tensor[rows] for name, tensor in held.items()})
            descent(lambda part: cross_entropy(guest(**part.inputs), part["target"]), part)
        return {name: p.detach() for name, p in guest.named_parameters()}


def clients(data: Data, number: int = 10, shards: int = 2) -> Tensors:
    """The samples dealt to clients that see few classes: sorted by label, cut into shards, two a client."""
    rows = data.gather(torch.arange(len(data)))
    cut = rows["target"].argsort(stable=True).tensor_split(number * shards)
    order = keyed.permutation(number * shards, 3).view(number, shards)
    held = [torch.cat([cut[shard] for shard in mine]) for mine in order.tolist()]
    longest = max(len(one) for one in held)
    padded = torch.stack([torch.cat([one, one.new_zeros(longest - len(one))]) for one in held])
    return Tensors(x=rows["x"][padded], target=rows["target"][padded], rows=torch.tensor([len(one) for one in held]))


@recipe
def page(lr: float = 0.5, size: int = 64, rounds: int = 100) -> Experiment:
    """Read digits that lie with ten clients, each of whom has seen two to four kinds of digit."""
    task = Federated(MLP(64, 64, out=10), SGD(1.0), SGD(lr), size)
    return Experiment(task=task, data=Loader(clients(datasets.digits().train), 10), steps=rounds)


@recipe
def central(lr: float = 0.5, size: int = 64, epochs: int = 100) -> Experiment:
    """The same network, with as many looks at each sample, all in one place."""
    task = Classify(MLP(64, 64, out=10), SGD(lr))
    return Experiment(task=task, data=Loader(datasets.digits().train, size), epochs=epochs)


def score(task: Classify) -> float:
    """Accuracy on the digits that no client holds: the validation split too, since nothing was chosen by it."""
    data = datasets.digits()
    found = [evaluate(task, split) for split in (data.valid, data.test)]
    return sum(one.scores["accuracy"] * one.samples for one in found) / sum(one.samples for one in found)

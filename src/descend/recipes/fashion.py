"""Fashion-MNIST: the same data, by three networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from torch import nn

from descend.data import Augment, Compose, Flip, RandomCrop, Splits, datasets
from descend.engine import Choice, Experiment, recipe
from descend.models import MLP, LeNet, Mirrored, resnet20
from descend.nn import BatchNorm
from descend.optim import EMA, AdamW, Muon, OneCycle, Optimizer
from descend.tasks import Classify


@dataclass(frozen=True)
class Plan:
    """A network, and how it is best taught."""

    network: nn.Module
    optimizer: Optimizer
    epochs: int
    augment: Augment | None = None


def mlp(data: Splits) -> Plan:
    """784-128-64-10."""
    network = MLP(data.features, 128, 64, out=data.classes, norm=BatchNorm(axes=0), dropout=0.1)
    optimizer = AdamW(4e-3, weight_decay=0.02, schedule=OneCycle(), average=EMA(0.998))
    return Plan(network, optimizer, epochs=25, augment=Flip())


def lenet(data: Splits) -> Plan:
    network = LeNet(1, data.classes, dropout=0.1)
    optimizer = AdamW(4e-3, weight_decay=0.01, schedule=OneCycle(), average=EMA(0.998))
    return Plan(network, optimizer, epochs=20, augment=Compose((Flip(), RandomCrop(1))))


def resnet(data: Splits) -> Plan:
    """ResNet-20, 16-32-64 channels; it answers for a picture and its mirror image."""
    optimizer = Muon(0.02, weight_decay=0.01, rest_lr=3e-3, schedule=OneCycle(), average=EMA(0.998))
    return Plan(Mirrored(resnet20(1, data.classes)), optimizer, epochs=10, augment=Compose((Flip(), RandomCrop(2))))


@recipe
def fashion(
    model: Annotated[Callable[[Splits], Plan], Choice(mlp=mlp, lenet=lenet, resnet=resnet)] = mlp,
    epochs: int | None = None,
    batch: int = 128,
) -> Experiment:
    """Tell ten kinds of clothes apart, by a plain network, LeNet or a ResNet.

    descend train fashion
    descend train fashion --model lenet
    descend train fashion --model resnet --precision bfloat16
    """
    data = datasets.fashion_mnist()
    plan = model(data)
    return Experiment(
        task=Classify(plan.network, plan.optimizer),
        data=data,
        batch=batch,
        epochs=plan.epochs if epochs is None else epochs,
        augment=plan.augment,
    )

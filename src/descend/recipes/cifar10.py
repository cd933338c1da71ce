"""CIFAR-10: the classic network, and one tuned for the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from descend.data import (
    Affine,
    Augment,
    Colour,
    Compose,
    Cutout,
    Flip,
    Light,
    RandAugment,
    RandomCrop,
    Splits,
    datasets,
)
from descend.engine import Choice, Experiment, recipe
from descend.models import Airbench, Mirrored, resnet20
from descend.optim import EMA, Muon, OneCycle, Optimizer
from descend.tasks import Classify


@dataclass(frozen=True)
class Plan:
    """A network, and how it is best taught."""

    network: nn.Module
    optimizer: Optimizer
    batch: int
    epochs: int
    augment: Augment
    label_smoothing: float = 0.0
    every: int | None = None


def resnet(data: Splits) -> Plan:
    """ResNet-20 with its paper's augmentation (He et al. 2016, section 4.2), in 34 epochs instead of 182 and by Muon
    instead of SGD; it answers for a picture and its mirror image, in place and moved by a pixel."""
    optimizer = Muon(0.03, weight_decay=0.02, rest_lr=3e-3, schedule=OneCycle(), average=EMA(0.998))
    augment = Compose((Flip(), RandomCrop(4)))
    return Plan(Mirrored(resnet20(3, data.classes), 1), optimizer, batch=128, epochs=34, augment=augment, every=2000)


def airbench(data: Splits) -> Plan:
    """Jordan's network and Muon, between his small one and his wide one; it answers for a picture and its mirror image,
    in place and moved by a pixel."""
    network = Airbench(3, data.classes, (96, 320, 320))
    network.whiten(data.train.gather(torch.arange(5000))["x"])
    optimizer = Muon(
        0.15,
        momentum=0.8,
        iterations=3,
        weight_decay=0.05,
        rest_lr=0.01,
        schedule=OneCycle(0.25),
        average=EMA(0.99),
    )
    augment = Compose((Flip(), RandomCrop(3), RandAugment((Affine(), Light(), Colour(), Cutout()), 1)))
    # Scored at its end alone: six views of all pictures take a minute.
    return Plan(Mirrored(network, 1), optimizer, batch=500, epochs=12, augment=augment, label_smoothing=0.2, every=2000)


@recipe
def cifar10(
    model: Annotated[Callable[[Splits], Plan], Choice(airbench=airbench, resnet=resnet)] = airbench,
    epochs: int | None = None,
    batch: int | None = None,
) -> Experiment:
    """Tell ten kinds of things apart in small colour pictures.

    descend train cifar10                    # accuracy 0.914 in 18 min on two CPU cores
    descend train cifar10 --model resnet     # 0.893 in 19 min
    """
    data = datasets.cifar10()
    plan = model(data)
    return Experiment(
        task=Classify(plan.network, plan.optimizer, label_smoothing=plan.label_smoothing),
        data=data,
        batch=plan.batch if batch is None else batch,
        epochs=plan.epochs if epochs is None else epochs,
        augment=plan.augment,
        every=plan.every,
    )

"""A GAN of all that remembers: spectral norm's vectors, batch statistics, a lazy penalty's count, averaged weights."""

from __future__ import annotations

import torch

from descend.data import Loader, Tensors
from descend.engine import Experiment, recipe
from descend.functional import keyed
from descend.models import ConvCritic, ConvGenerator, Spectral
from descend.optim import EMA, Adam
from descend.tasks import GAN, R1, Hinge


@recipe
def page(steps: int = 250) -> Experiment:
    """Learn to make small pictures of three classes, which are bright to three degrees."""
    target = torch.arange(96) % 3
    x = (torch.rand(96, 1, 8, 8, generator=keyed.generator(1)) + target[:, None, None, None]) / 3
    task = GAN(
        ConvGenerator((1, 8, 8), 5, 3, (8, 6)), ConvCritic((1, 8, 8), 3, (6, 8), 8, Spectral()),
        Adam(1e-3, average=EMA(0.9)), Adam(2e-3), (1, 8, 8), 5, 3, Hinge(), (R1(every=3),), rounds=2,
    )  # fmt: skip
    return Experiment(task=task, data=Loader(Tensors(x=x, target=target), 16), steps=steps)

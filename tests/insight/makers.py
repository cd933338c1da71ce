"""Tasks that make pictures without having learned to: what a judge says of them is known beforehand."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from descend.data import Batch, ImageCodec, Loader, PictureCodec, Splits, Tensors, datasets
from descend.engine import Descent, Experiment, Predictor, fit, recipe
from descend.functional import Mean, keyed
from descend.losses import mse
from descend.models import MLP
from descend.optim import EMA, AdamW, Optimizer
from descend.tasks import Classify
from descend.tasks.generative import Generative
from descend.tasks.generative.generative import asked_for, numbers

LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def pictures(held: int = 440) -> tuple[Splits, Tensors]:
    """Digits of 0 … 1: splits of 800 to learn from and the rest to test with, and 440 more that are in neither."""
    made = datasets.digits()
    parts = [part.tensors for part in (made.train, made.valid, made.test)]
    x, target = (torch.cat([part[name] for part in parts]) for name in ("x", "target"))
    (mean,), (std,) = made.codec.mean, made.codec.std
    order = keyed.permutation(len(x), 5)
    x, target = (x * std + mean).clamp(0, 1)[order], target[order]
    rows = slice(0, 800), slice(800, len(x) - held), slice(len(x) - held, None)
    train, test, more = (Tensors(x=x[row], target=target[row]) for row in rows)
    return Splits(train, None, test, PictureCodec(8, 8, 1, LABELS), "digit pictures"), more


def judging(width: int = 64) -> Predictor:
    """A small network that tells digits apart, from the same splits."""
    data, _ = pictures()
    codec = named(datasets.digits().codec)
    keyed.reseed(0)
    task = Classify(MLP(64, width, out=10), AdamW(3e-3))
    x = codec.standardise(data.train.tensors["x"])
    fit(task, Loader(Tensors(x=x, target=data.train.tensors["target"]), 64), steps=300)
    return Predictor(task, codec)


def named(codec: ImageCodec) -> ImageCodec:
    """The same with the names that the pictures' classes have."""
    return ImageCodec(codec.height, codec.width, codec.channels, codec.mean, codec.std, LABELS)


class Shown(Generative):
    """Gives pictures that it has been given; of the class asked for, where it knows classes."""

    def __init__(self, x: Tensor, target: Tensor | None = None):
        super().__init__()
        self.x = x
        self.target = target
        self.shape = tuple(x.shape[1:])
        self.classes = None if target is None else 10

    def sample(self, count, seed=0, asked=None):
        own = asked_for(asked, count, self.classes)
        keys = keyed.hashed(torch.arange(count), seed)
        if own is None:
            return self.x[(keyed.uniform(keys, 0) * len(self.x)).long()]
        found = []
        for key, label in zip(keys, own, strict=True):
            of_class = self.x[self.target == label]
            found.append(of_class[int(keyed.uniform(key[None], 0) * len(of_class))])
        return torch.stack(found)


class Grey(Generative):
    """Noise, whatever is asked for."""

    shape = (1, 8, 8)
    classes = 10

    def sample(self, count, seed=0, asked=None):
        asked_for(asked, count, self.classes)
        return numbers(count, self.shape, seed).mul(0.3).add(0.5).clamp(0, 1)


class Means(Generative):
    """Learns the mean picture of each class and gives it, with a little noise; small, and yet a run of its own.

    While it learns it draws, in its own mode, so that whoever disturbs generators or mode is found out.
    """

    shape = (1, 8, 8)

    def __init__(self, optimizer: Optimizer, classes: int | None = 10):
        super().__init__()
        self.optimizer = optimizer
        self.classes = classes
        self.mean = nn.Embedding(10, 64)
        nn.init.constant_(self.mean.weight, 0.5)
        self.drop = nn.Dropout(0.1)
        self.descent = Descent(self.mean, optimizer)

    def loss(self, batch: Batch) -> Mean:
        assert self.drop.training == self.training
        noise = 0.1 * torch.randn(batch["x"].shape)
        return mse(self.drop(self.mean(batch["target"])).view_as(noise), batch["x"] + noise)

    def sample(self, count, seed=0, asked=None):
        own = asked_for(asked, count, self.classes)
        own = torch.arange(count) % 10 if own is None else own
        torch.rand(3)  # as careless as a task can be
        made = self.mean(own).view(count, *self.shape) + 0.05 * numbers(count, self.shape, seed)
        return self.drop(made).clamp(0, 1)


@recipe
def averages(steps: int = 40) -> Experiment:
    """Make digits as their classes' means."""
    return Experiment(Means(AdamW(0.05, average=EMA(0.9))), pictures()[0], batch=32, steps=steps)


@recipe
def streamed() -> Experiment:
    """The same on a stream, which has no test split."""
    data, _ = pictures()
    return Experiment(Means(AdamW(0.05)), Loader(data.train, 32), data.codec, steps=2)


@recipe
def reader() -> Experiment:
    """Tell digits apart, by the names that their pictures have."""
    data = datasets.digits()
    codec = named(data.codec)
    return Experiment(Classify(MLP(64, 32, out=10), AdamW(3e-3)), replace(data, codec=codec), batch=64, steps=150)

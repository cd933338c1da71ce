"""The pages again, each with a mistake of the kind that is easily made: the proofs must fail on every one of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from descend.data import Batch, Replay
from descend.engine import Experiment, Metrics, Task, recipe
from descend.functional import Mean
from tests.paradigms import bilevel, byol, detect, dqn, federated, gan, wgan


class Unfrozen(gan.GAN):
    """The generator's descent moves the critic too, to where it is easily fooled."""

    def step(self, batch: Batch) -> Metrics:
        self.fool.modules = [self.generator, self.critic]
        return super().step(batch)


class OwnNoise(gan.GAN):
    """Draws from a generator that no checkpoint knows of."""

    def made(self, batch: Batch) -> Tensor:
        source = vars(self).setdefault("source", torch.Generator().manual_seed(1))
        return self(torch.randn(len(batch), self.noise, generator=source))


class Slack(wgan.WassersteinGAN):
    """The slope is measured and not differentiated, so that the penalty teaches nothing."""

    def critic_loss(self, batch: Batch) -> Mean:
        grad = torch.autograd.grad
        with patch("torch.autograd.grad", lambda *args, create_graph: grad(*args)):
            return super().critic_loss(batch)


class Still(byol.BYOL):
    """The teacher does not follow."""

    def follow(self) -> None:
        pass


class Outside(byol.BYOL):
    """The teacher is no part of what is saved."""

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state = super().state_dict(*args, **kwargs)
        return {name: tensor for name, tensor in state.items() if not name.startswith("teacher")}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = False, assign: bool = False) -> Any:
        return super().load_state_dict(state_dict, strict, assign)


class Forgetful(Replay):
    """Saves how often it was asked, and not what it remembers."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "memory": {}, "made": 0, "actions": []}


class Stale(dqn.DQN):
    """The targets' network stays as it began."""

    def step(self, batch: Batch) -> Metrics:
        return Task.step(self, batch)


class OneLevel(bilevel.Search):
    """Chooses by the samples that the operations learned from."""

    def step(self, batch: Batch) -> Metrics:
        return super().step(Batch({**batch, "valid": batch["train"]}))


class LastWord(federated.Federated):
    """The server takes what the last client brings."""

    def step(self, batch: Batch) -> Metrics:
        return super().step(Batch({name: tensor[-1:] for name, tensor in batch.items()}))


class MeanOfMeans(detect.Detect):
    """Divides each term by its part's own count."""

    def loss(self, batch: Batch) -> dict[str, Mean]:
        return {name: Mean(mean.value(), 1) for name, mean in super().loss(batch).items()}


class Boxless(detect.Detect):
    """Is not taught the boxes."""

    def loss(self, batch: Batch) -> dict[str, Mean]:
        return {"cells": super().loss(batch)["cells"]}


def _instead(module: ModuleType, name: str, mistaken: type) -> Experiment:
    """The module's page, made with the mistaken class."""
    with patch.object(module, name, mistaken):
        return module.page.function()


@recipe
def unfrozen() -> Experiment:
    return _instead(gan, "GAN", Unfrozen)


@recipe
def own_noise() -> Experiment:
    return _instead(gan, "GAN", OwnNoise)


@recipe
def slack() -> Experiment:
    return _instead(wgan, "WassersteinGAN", Slack)


@recipe
def still() -> Experiment:
    return _instead(byol, "BYOL", Still)


@recipe
def outside() -> Experiment:
    return _instead(byol, "BYOL", Outside)


@recipe
def forgetful() -> Experiment:
    return _instead(dqn, "Replay", Forgetful)


@recipe
def stale() -> Experiment:
    return _instead(dqn, "DQN", Stale)


@recipe
def one_level() -> Experiment:
    return _instead(bilevel, "Search", OneLevel)


@recipe
def last_word() -> Experiment:
    return _instead(federated, "Federated", LastWord)


@recipe
def boxless() -> Experiment:
    return _instead(detect, "Detect", Boxless)

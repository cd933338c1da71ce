"""Clothes that no one has sewn: Fashion-MNIST, by a generator and a critic that play against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from descend.data import datasets
from descend.engine import Choice, Experiment, recipe
from descend.models import ConvCritic, ConvGenerator, Spectral
from descend.optim import EMA, Adam, Linear
from descend.tasks import GAN, R1, Game, GradientPenalty, Hinge, NonSaturating, Penalty, Wasserstein


@dataclass(frozen=True)
class Plan:
    """A game, what holds the critic in it, and the rates it is best played at."""

    game: Game
    fooling: float
    judging: float
    betas: tuple[float, float] = (0.0, 0.99)
    penalties: tuple[Penalty, ...] = ()
    spectral: Spectral | None = None
    rounds: int = 1


def nonsaturating() -> Plan:
    """Held by R1, counted every fourth step."""
    return Plan(NonSaturating(), 1e-3, 1e-3, penalties=(R1(1.0, every=4),))


def wasserstein() -> Plan:
    """Held by the penalty on its gradient, and moved twice as often as the generator."""
    return Plan(Wasserstein(), 1e-3, 1e-3, (0.0, 0.9), (GradientPenalty(10.0),), rounds=2)


def hinge() -> Plan:
    """Held by spectral norm, and moved as fast as the generator: at four times its rate it soon sees through it all."""
    return Plan(Hinge(), 1e-3, 1e-3, spectral=Spectral())


@recipe
def gan(
    game: Annotated[
        Callable[[], Plan], Choice(nonsaturating=nonsaturating, wasserstein=wasserstein, hinge=hinge)
    ] = nonsaturating,
    noise: int = 64,
    batch: int = 64,
    epochs: float = 20,
) -> Experiment:
    """Make pictures of ten kinds of clothes, of the kind that is asked for.

    descend train gan
    descend train gan --game hinge
    descend train gan --game wasserstein
    """
    data, plan = datasets.fashion_pictures(), game()
    task = GAN(
        ConvGenerator(data.shape, noise, data.classes),
        ConvCritic(data.shape, data.classes, spectral=plan.spectral),
        Adam(plan.fooling, betas=plan.betas, schedule=Linear(), average=EMA(0.999)),
        Adam(plan.judging, betas=plan.betas, schedule=Linear()),
        data.shape,
        noise,
        data.classes,
        plan.game,
        plan.penalties,
        plan.rounds,
    )
    return Experiment(task=task, data=data, batch=batch * plan.rounds, epochs=epochs)

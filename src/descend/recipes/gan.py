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
    widths: tuple[int, int] = (64, 32),
    batch: int = 64,
    epochs: float = 20,
) -> Experiment:
    """Make pictures of ten kinds of clothes, of the kind that is asked for.

    Of 2,000 samples a classifier of its own took as many for what was asked, on one core, n = 1:

    descend train gan                          # 0.910 in 25 min
    descend train gan --game hinge             # 0.912 in 12 min
    descend train gan --game wasserstein       # 0.898 in 18 min
    descend train gan --widths 256 128 --noise 128 --epochs 100        # for a GPU

    ``widths`` are the generator's, from coarse to fine; the critic's are the same the other way round.
    """
    data, plan = datasets.fashion_pictures(), game()
    task = GAN(
        ConvGenerator(data.shape, noise, data.classes, widths),
        ConvCritic(data.shape, data.classes, (widths[1], widths[0]), spectral=plan.spectral),
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

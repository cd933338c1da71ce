"""Two networks against each other: one makes samples, one tells them from real ones (Goodfellow et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Metrics, Min
from descend.functional import Mean, keyed
from descend.optim import Optimizer
from descend.tasks.generative.games import Game, NonSaturating, Penalty
from descend.tasks.generative.generative import (
    FromNoise,
    arc,
    asked_for,
    evaluating,
    normed_by_batch,
    numbers,
    repeated,
)

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

Samples = Float[Tensor, "batch *shape"]

TOGETHER = 500
"""Samples that are made at once."""
_CLASSES = 1
"""Keys the drawn classes apart from the noise."""


class GAN(FromNoise):
    """Learns to make samples that a critic cannot tell from real ones, while the critic learns to.

    A step moves the critic ``rounds`` times, each time by its own part of the batch and as many made samples, then the
    generator once, by as many as were in the first part. Each has a descent and a rate of its own (Heusel et al. 2017).
    The generator's averaged weights, where its optimizer keeps any, are those that are evaluated, saved and drawn from.

    Samples are of the values that the generator gives and the batch holds, 0 … 1 in pictures.

    >>> generator, critic = ConvGenerator(classes=10), ConvCritic(classes=10, spectral=Spectral())
    >>> task = GAN(generator, critic, Adam(1e-3, average=EMA(0.999)), Adam(1e-3), (1, 28, 28), classes=10, game=Hinge())
    >>> task.sample(8, seed=1, asked=Batch(target=torch.arange(8)))

    Args:
        generator: gives samples for noise [batch, noise]; and for classes [batch], where there are some.
        critic: gives a logit or several for each sample; and for its class, where there are some.
        optimizer: how the generator is moved.
        judging: how the critic is moved.
        shape: of a sample.
        noise: how many numbers a sample is made of.
        classes: how many classes the batch's ``target`` names, which both networks are told; None if they are not.
        game: what they play for.
        penalties: what holds the critic's slope.
        rounds: updates of the critic to one of the generator.

    Raises:
        ValueError: rounds is below 1.
    """

    goal = Min("distance")

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        optimizer: Optimizer,
        judging: Optimizer,
        shape: tuple[int, ...],
        noise: int = 64,
        classes: int | None = None,
        game: Game = NonSaturating(),
        penalties: tuple[Penalty, ...] = (),
        rounds: int = 1,
    ):
        super().__init__()
        if rounds < 1:
            raise ValueError(f"rounds is {rounds}: the critic is moved once or more to each step of the generator")
        self.generator = generator
        self.critic = critic
        self.optimizer = optimizer
        self.judging = judging
        self.shape = shape
        self.noise = noise
        self.classes = classes
        self.game = game
        self.penalties = penalties
        self.rounds = rounds
        self.descent = Descent(generator, optimizer)
        self.judge = Descent(critic, judging)

    def forward(self, noise: Float[Tensor, "batch noise"], target: Int[Tensor, "batch"] | None = None) -> Samples:
        """Samples."""
        made = self.generator(noise) if target is None else self.generator(noise, target)
        if made.shape[1:] != self.shape:
            raise ValueError(f"the generator gives samples of {tuple(made.shape[1:])}, and shape says {self.shape}")
        return made.float()

    def critic_loss(self, batch: Batch) -> Mean:
        """The game alone."""
        return self.penalised_loss(batch, ())

    def penalised_loss(self, batch: Batch, penalties: Sequence[Penalty]) -> Mean:
        """The game, and these penalties."""
        real, target = self._real(batch), self._target(batch)
        with torch.no_grad():
            made = self._made(batch)
        # Both halves in one pass: half as many calls, twice as large.
        both = self._judged(torch.cat([real, made]), None if target is None else target.repeat(2))
        loss = _mean(self.game.judged(*both.chunk(2)))
        for penalty in penalties:
            loss += penalty.every * _mean(penalty(partial(self._plainly, target=target), real, made))
        return loss

    def generator_loss(self, batch: Batch) -> Mean:
        return _mean(self.game.fooled(self._judged(self._made(batch), self._target(batch))))

    def step(self, batch: Batch) -> Metrics:
        parts = batch.split(self.rounds)
        self._refuse_few(len(batch), parts)
        judged = []
        for part in parts:
            due = [penalty for penalty in self.penalties if self.judge.steps % penalty.every == 0]
            # With penalties it is no method, which a compiled graph would take: that is not differentiated twice.
            loss = partial(self.penalised_loss, penalties=due) if self.penalties else self.critic_loss
            judged.append(self.judge(loss, part)["loss"])
        return {**self.descent(self.generator_loss, parts[0]), "judging": torch.stack(judged).mean()}

    def sample(self, count: int, seed: int = 0, asked: Batch | None = None) -> Samples:
        """So many; of classes that are drawn alike often, where none are asked for."""
        target = asked_for(asked, count, self.classes)
        if target is None and self.classes is not None:
            target = keyed.hashed(torch.arange(count), seed, _CLASSES) % self.classes
        return self._drawn(numbers(count, (self.noise,), seed, self.progress.device), target)

    def walk(self, steps: int, seed: int = 0, asked: Batch | None = None) -> Samples:
        """As of `FromNoise`; all of class 0, where there are classes and none is asked for."""
        if asked is None:
            asked = self.asking(1)
        target = asked_for(repeated(asked, steps), steps, self.classes)
        return self._drawn(arc(numbers(2, (self.noise,), seed, self.progress.device), steps), target)

    def _drawn(self, noise: Float[Tensor, "count noise"], target: Int[Tensor, "count"] | None) -> Samples:
        device = self.progress.device
        with evaluating(self):
            parts = [
                self(noise[rows], None if target is None else target[rows.cpu()].to(device))
                for rows in torch.arange(len(noise), device=device).split(TOGETHER)
            ]
        return torch.cat(parts)

    def predict(self, **inputs: Tensor) -> Samples:
        """Raises: ValueError: always."""
        raise ValueError("a GAN makes pictures of noise and answers to none: task.sample(16), descend sample RUN")

    def metrics(self) -> MetricCollection:
        """``distance``: between all samples and as many that are made, of the same classes (`SlicedWasserstein`);
        ``real`` and ``made``: what the critic says of either, on average."""
        from torchmetrics import MeanMetric, MetricCollection

        from descend.metrics import SlicedWasserstein

        found = {"distance": SlicedWasserstein(), "real": MeanMetric(), "made": MeanMetric()}
        return MetricCollection(found, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """The i-th sample is held against the i-th that is made, so that scores are the same every time."""
        from descend.metrics import SlicedWasserstein

        real, target, distance = self._real(batch), self._target(batch), metrics["distance"]
        assert isinstance(distance, SlicedWasserstein)
        made = self(numbers(distance.count + len(batch), (self.noise,), 0, real.device)[distance.count :], target)
        distance.update(made, real)
        for name, samples in (("real", real), ("made", made)):
            metrics[name].update(self._judged(samples, target))

    def _made(self, batch: Batch) -> Samples:
        return self(torch.randn(len(batch), self.noise, device=self.progress.device), self._target(batch))

    def _judged(self, x: Samples, target: Int[Tensor, "batch"] | None) -> Float[Tensor, "..."]:
        return (self.critic(x) if target is None else self.critic(x, target)).float()

    def _plainly(self, x: Samples, target: Int[Tensor, "batch"] | None) -> Float[Tensor, "..."]:
        """The same by the critic as it was written: a compiled one, which a call would take, has no second gradient."""
        return (self.critic.forward(x) if target is None else self.critic.forward(x, target)).float()

    def _real(self, batch: Batch) -> Samples:
        if batch["x"].shape[1:] != self.shape:
            raise ValueError(f"the batch holds samples of {tuple(batch['x'].shape[1:])}, and shape says {self.shape}")
        return batch["x"]

    def _target(self, batch: Batch) -> Int[Tensor, "batch"] | None:
        if self.classes is not None and "target" not in batch:
            raise ValueError(
                f"this batch holds {', '.join(batch)} and no target, and {self.classes} classes are to be told: give "
                "data with a target, or classes=None"
            )
        return None if self.classes is None else batch["target"]

    def _refuse_few(self, size: int, parts: Sequence[Batch]) -> None:
        """Refuse batches too small for the critic's rounds, or for a norm over the batch."""
        if len(parts) < self.rounds:
            raise ValueError(f"a batch of {size} cannot be shared among {self.rounds} rounds of the critic: give more")
        if min(map(len, parts)) > 1:
            return
        if norm := normed_by_batch(self):
            raise ValueError(
                f"a batch of {size} leaves one sample to a round, and {norm[0]} is a {norm[1]}, whose statistics need "
                "two: give a larger batch, one that leaves no single sample at an epoch's end"
            )


def _mean(values: Tensor) -> Mean:
    """Noise is drawn for the whole batch, and norms may look at all of it: parts of it would give other numbers."""
    return Mean(values.sum(), values.numel(), coupled=True)

"""A generator and a critic that play against each other (Goodfellow et al. 2014), each moved by its own descent."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from descend.data import Batch
from descend.engine import Descent, Experiment, Metrics, Task, recipe
from descend.functional import Mean, keyed
from descend.models import MLP
from descend.optim import EMA, Adam, Optimizer
from tests.paradigms import ring


class GAN(Task):
    """The generator turns noise into points; the critic tells real from made, with logits."""

    def __init__(self, generator: nn.Module, critic: nn.Module, fooling: Optimizer, judging: Optimizer, noise: int = 2):
        super().__init__()
        self.generator, self.critic, self.noise = generator, critic, noise
        self.fooling, self.judging = fooling, judging
        self.fool = Descent(generator, fooling)
        self.judge = Descent(critic, judging)

    def forward(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch 2"]:
        return self.generator(noise)

    def made(self, batch: Batch) -> Float[Tensor, "batch 2"]:
        return self(torch.randn(len(batch), self.noise))

    def critic_loss(self, batch: Batch) -> Mean:
        with torch.no_grad():
            made = self.made(batch)
        return Mean.of(softplus(-self.critic(batch["x"]))) + Mean.of(softplus(self.critic(made)))

    def generator_loss(self, batch: Batch) -> Mean:
        return Mean.of(softplus(-self.critic(self.made(batch))))

    def step(self, batch: Batch) -> Metrics:
        judged, fooled = self.judge(self.critic_loss, batch), self.fool(self.generator_loss, batch)
        return {"critic": judged["loss"], "generator": fooled["loss"]}


@recipe
def page(width: int = 64, lr: float = 1e-3, batch: int = 256, steps: int = 2000) -> Experiment:
    """Learn to make points on a ring of eight Gaussians."""
    task = GAN(
        MLP(2, width, width, width, out=2), MLP(2, width, width, out=1),
        fooling=Adam(lr, betas=(0.5, 0.99), average=EMA(0.99)), judging=Adam(lr, betas=(0.5, 0.99)),
    )
    return Experiment(task=task, data=ring.real(batch), steps=steps)


def score(task: GAN) -> float:
    """How well 2,000 made points cover the ring, 0 to 1."""
    return ring.coverage(task.predict(noise=torch.randn(ring.SAMPLES, task.noise, generator=keyed.generator(1))))

"""A critic held to slope 1 by a penalty on its gradient (WGAN-GP, Gulrajani et al. 2017, algorithm 1).

The penalty is differentiated a second time, which compiled code cannot do: asked for, compilation falls back by itself.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Experiment, Metrics, Task, recipe
from descend.functional import Mean, keyed
from descend.models import MLP
from descend.optim import EMA, Adam, Optimizer
from tests.paradigms import ring


class WassersteinGAN(Task):
    """Several steps of the critic, each on its own part of the batch, to one of the generator."""

    def __init__(self, generator: nn.Module, critic: nn.Module, fooling: Optimizer, judging: Optimizer, noise: int = 2,
                 penalty: float = 0.1, judgements: int = 2):
        super().__init__()
        self.generator, self.critic, self.noise = generator, critic, noise
        self.fooling, self.judging = fooling, judging
        self.penalty, self.judgements = penalty, judgements
        self.fool = Descent(generator, fooling)
        self.judge = Descent(critic, judging)

    def forward(self, noise: Float[Tensor, "batch noise"]) -> Float[Tensor, "batch 2"]:
        return self.generator(noise)

    def made(self, batch: Batch) -> Float[Tensor, "batch 2"]:
        return self(torch.randn(len(batch), self.noise))

    def critic_loss(self, batch: Batch) -> Mean:
        with torch.no_grad():
            made = self.made(batch)
        between = torch.lerp(batch["x"], made, torch.rand(len(batch), 1)).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        excess = Mean.of((slope.norm(dim=1) - 1).square())
        return Mean.of(self.critic(made)) - Mean.of(self.critic(batch["x"])) + self.penalty * excess

    def generator_loss(self, batch: Batch) -> Mean:
        return -Mean.of(self.critic(self.made(batch)))

    def step(self, batch: Batch) -> Metrics:
        parts = batch.split(self.judgements)
        judged = [self.judge(self.critic_loss, part)["loss"] for part in parts]
        return {"critic": torch.stack(judged).mean(), "generator": self.fool(self.generator_loss, parts[0])["loss"]}


@recipe
def page(width: int = 64, lr: float = 1.5e-3, batch: int = 256, steps: int = 1200) -> Experiment:
    """Learn to make points on a ring of eight Gaussians, by the distance that it takes to move them."""
    task = WassersteinGAN(
        MLP(2, width, width, width, out=2), MLP(2, width, width, out=1),
        fooling=Adam(lr, betas=(0.5, 0.9), average=EMA(0.99)), judging=Adam(2 * lr, betas=(0.5, 0.9)),
    )
    return Experiment(task=task, data=ring.real(batch), steps=steps)


def score(task: WassersteinGAN) -> float:
    """How well 2,000 made points cover the ring, 0 to 1."""
    return ring.coverage(task.predict(noise=torch.randn(ring.SAMPLES, task.noise, generator=keyed.generator(1))))

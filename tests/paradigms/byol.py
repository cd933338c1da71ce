"""Learning without labels: a student foresees what a slowly following teacher makes of another view of the same
picture (BYOL, Grill et al. 2020, eq. 2)."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from descend.data import Affine, Batch, Loader, datasets
from descend.engine import Descent, Experiment, Metrics, Task, recipe
from descend.functional import Mean, keyed
from descend.models import MLP
from descend.nn import BatchNorm
from descend.optim import AdamW, Cosine, Optimizer


class BYOL(Task):
    """``projector`` and ``predictor`` only help to learn. What is kept in the end is the teacher's encoder: an average
    of all the student's, and steadier (Caron et al. 2021, section 5.2)."""

    def __init__(self, encoder: nn.Module, projector: nn.Module, predictor: nn.Module, optimizer: Optimizer,
                 views: Callable[[Batch, Tensor], Batch], decay: float = 0.99):
        super().__init__()
        self.encoder, self.projector, self.predictor = encoder, projector, predictor
        self.optimizer, self.views, self.decay = optimizer, views, decay
        self.teacher = copy.deepcopy(nn.ModuleList([encoder, projector])).requires_grad_(False)
        self.descent = Descent([encoder, projector, predictor], optimizer)

    def forward(self, x: Float[Tensor, "batch 1 8 8"]) -> Float[Tensor, "batch features"]:
        return self.teacher[0](x)

    def loss(self, batch: Batch) -> Mean:
        one, other = (self.views(batch, keyed.hashed(batch["index"], int(torch.randint(1 << 60, ())))) for _ in "ab")
        return self.foresight(one["x"], other["x"]) + self.foresight(other["x"], one["x"])

    def foresight(self, x: Tensor, other: Tensor) -> Mean:
        with torch.no_grad():
            aim = self.teacher[1](self.teacher[0](other))
        return Mean.of(2 - 2 * cosine_similarity(self.predictor(self.projector(self.encoder(x))), aim))

    def step(self, batch: Batch) -> Metrics:
        metrics = super().step(batch)
        self.follow()
        return metrics

    def follow(self) -> None:
        student = nn.ModuleList([self.encoder, self.projector])
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), student.parameters(), strict=True):
                slow.lerp_(fast, 1 - self.decay)


@recipe
def page(features: int = 8, lr: float = 2e-3, batch: int = 256, epochs: int = 80) -> Experiment:
    """Learn eight numbers about a handwritten digit, without being told which it is."""
    norm = BatchNorm(axes=0)
    task = BYOL(
        MLP(64, 128, out=features, norm=norm), MLP(features, 64, out=32, norm=norm), MLP(32, 64, out=32, norm=norm),
        AdamW(lr, schedule=Cosine()), Affine(shift=1.0, degrees=15, scale=0.15),
    )
    return Experiment(task=task, data=Loader(datasets.digits().train, batch), epochs=epochs)


def score(task: Task) -> float:
    """By how much a linear probe reads digits better off this network than off three that have learned nothing."""
    return probe(task) - sum(probe(page(seed=seed).task) for seed in (97, 98, 99)) / 3


def probe(task: Task) -> float:
    """Test accuracy of a linear classifier on the features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, task = datasets.digits(), task.eval()
    rows = [split.gather(torch.arange(len(split))) for split in (data.train, data.test)]
    sides = [(task.predict(x=one["x"]).numpy(), one["target"].numpy()) for one in rows]
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(*sides[0]).score(*sides[1])

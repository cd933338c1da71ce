"""Restoration: a clean picture from a damaged one, by its pixels alone or so that it also looks real."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from descend.data import Batch
from descend.engine import Descent, Max, Metrics, Task
from descend.functional import Mean
from descend.losses import mae, mse
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

Pictures = Float[Tensor, "batch channels height width"]


class View(ABC):
    """What of a picture is scored."""

    @abstractmethod
    def __call__(self, x: Pictures) -> Float[Tensor, "batch seen rows columns"]: ...


@dataclass(frozen=True)
class Pixels(View):
    """All channels in whole levels of 255, as a file would hold them, without ``border`` pixels on each side."""

    border: int = 0

    def __call__(self, x: Pictures) -> Float[Tensor, "batch seen rows columns"]:
        height, width = x.shape[2:]
        return _levels(x[:, :, self.border : height - self.border, self.border : width - self.border])


@dataclass(frozen=True)
class Luminance(View):
    """Of an RGB picture, its Y in whole levels, which go from 16 to 235 (ITU-R BT.601), without ``border`` pixels on
    each side: what scores of super-resolution are published of."""

    border: int = 0

    def __call__(self, x: Pictures) -> Float[Tensor, "batch seen rows columns"]:
        red, green, blue = Pixels(self.border)(x).split(1, 1)
        return _levels((16 + 65.481 * red + 128.553 * green + 24.966 * blue) / 255)


class Restore(Task):
    """Learns the clean picture from the damaged one: pixel by pixel, so that what cannot be known comes out smooth.

    >>> task = Restore(DnCNN(1), AdamW(1e-3, schedule=Cosine()))

    Args:
        model: gives pictures of 0 … 1, as large as the target, for the batch's inputs, taken by name.
        optimizer: how the model is moved.
        criterion: of (output, target): `mse`, `mae`, `huber`.
        view: what of output and target the metrics compare.
    """

    goal = Max("psnr")

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        criterion: Callable[[Tensor, Tensor], Mean] = mse,
        view: View = Pixels(),
    ):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.criterion = criterion
        self.view = view
        self.descent = Descent(model, optimizer)

    def forward(self, **inputs: Tensor) -> Pictures:
        """Pictures; values may leave 0 … 1."""
        return self.model(**inputs).float()

    def loss(self, batch: Batch) -> Mean:
        return self.criterion(self(**batch.inputs), _target(batch))

    def predict(self, **inputs: Tensor) -> Pictures:
        """Pictures of 0 … 1."""
        with torch.no_grad():
            return self(**inputs).clamp(0, 1)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import PSNR, SSIM, MeanLoss

        return MetricCollection({"psnr": PSNR(), "ssim": SSIM(), "loss": MeanLoss()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """One forward pass for all metrics; the loss is the criterion alone."""
        outputs, target = self(**batch.inputs), _target(batch)
        metrics["loss"].update(self.criterion(outputs, target))
        seen, truth = self.view(outputs), self.view(target)
        for name in ("psnr", "ssim"):
            metrics[name].update(seen, truth)


class RestoreAdversarial(Restore):
    """Learns pictures that also look real to a critic, which learns to tell them from the clean ones (Wang et al. 2018,
    "ESRGAN"). Sharper to the eye, and farther from the truth by PSNR, than `Restore`.

    The critic is asked whether the clean pictures look more real than the average restored one, and the restored ones
    less than the average clean one (eq. 1 and 2 of the paper); the network is moved so that it is the other way round.

    >>> network = load("runs/superres-1").task.model                # a network that restores already learns faster
    >>> task = RestoreAdversarial(network, PatchCritic(), Adam(1e-4), Adam(1e-4))

    Args:
        model, optimizer, criterion, view: as of `Restore`.
        critic: gives logits for pictures.
        judging: how the critic is moved.
        weight: of the critic's loss beside the criterion.
        features: gives maps of pictures, whose distances count beside those of pixels; none if None.
        closeness: weight of these distances.
    """

    def __init__(
        self,
        model: nn.Module,
        critic: nn.Module,
        optimizer: Optimizer,
        judging: Optimizer,
        criterion: Callable[[Tensor, Tensor], Mean] = mae,
        view: View = Pixels(),
        weight: float = 0.005,
        features: nn.Module | None = None,
        closeness: float = 1.0,
    ):
        super().__init__(model, optimizer, criterion, view)
        self.critic = critic
        self.judging = judging
        self.weight = weight
        self.features = features
        self.closeness = closeness
        self.judge = Descent(critic, judging)

    def restored_loss(self, batch: Batch) -> dict[str, Mean]:
        """Of the network."""
        outputs, target = self(**batch.inputs), _target(batch)
        losses = {"pixels": self.criterion(outputs, target)}
        if self.features is not None:
            losses["features"] = self.closeness * mae(self.features(outputs).float(), self.features(target).float())
        with torch.no_grad():
            real = self.critic(target)
        return losses | {"fooling": self.weight * _apart(self.critic(outputs).float(), real.float())}

    def critic_loss(self, batch: Batch) -> Mean:
        with torch.no_grad():
            outputs = self(**batch.inputs)
        return _apart(self.critic(_target(batch)).float(), self.critic(outputs).float())

    def step(self, batch: Batch) -> Metrics:
        judged = self.judge(self.critic_loss, batch)
        return {**self.descent(self.restored_loss, batch), "judging": judged["loss"]}


def _apart(higher: Float[Tensor, "batch 1 rows columns"], lower: Float[Tensor, "batch 1 rows columns"]) -> Mean:
    """The cross-entropy of each higher logit being above the mean lower one, and each lower one below the mean higher.
    All samples of the batch meet in the means."""
    above, below = softplus(lower.mean() - higher), softplus(lower - higher.mean())
    return Mean((above + below).sum(), above.numel(), coupled=True)


def _levels(x: Pictures) -> Pictures:
    return (x.clamp(0, 1) * 255).round() / 255


def _target(batch: Batch) -> Pictures:
    if "target" not in batch:
        raise ValueError(
            f"this batch holds {', '.join(batch)} and no target: clean pictures alone are damaged by the experiment's "
            "augment, Experiment(…, augment=Compose((Flip(), Noise(25))))"
        )
    return batch["target"]

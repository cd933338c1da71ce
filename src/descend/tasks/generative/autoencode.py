"""Autoencoders: a picture through a narrow code and back.

    minimise  d(decode(encode(x)), t) + λ · mean |encode(x)|

With t = x it is the plain autoencoder (Hinton and Salakhutdinov 2006); where the data bring a damaged x and the clean
picture as target, the denoising one (Vincent et al. 2008); with λ above 0 the sparse one, whose code is to be mostly
near 0 (Olshausen and Field 1996, eq. 2; Ng 2011, with the absolute value for a penalty).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Min, Task
from descend.functional import Mean
from descend.losses import mse
from descend.models import Decoder
from descend.models.generative import check_shape
from descend.optim import Optimizer
from descend.tasks.generative.generative import Pictures, normed_by_batch

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Autoencode(Task):
    """Learns a code of a picture that the picture can be made of again.

    >>> task = Autoencode(ConvEncoder((1, 28, 28), 32), ConvDecoder(32, (1, 28, 28)), AdamW(1e-3, schedule=Cosine()))

    Args:
        encoder: gives codes for ``x``.
        decoder: gives pictures of 0 … 1 for codes.
        optimizer: how both are moved.
        criterion: of (output, target): `mse`, `mae`, `huber`.
        sparsity: λ, weight of the mean absolute number of a code. Weight decay belongs to it, or the code shrinks and
            the decoder makes it large again.
    """

    goal = Min("loss")

    def __init__(
        self,
        encoder: nn.Module,
        decoder: Decoder,
        optimizer: Optimizer,
        criterion: Callable[[Tensor, Tensor], Mean] = mse,
        sparsity: float = 0.0,
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.optimizer = optimizer
        self.criterion = criterion
        self.sparsity = sparsity
        self.descent = Descent([encoder, decoder], optimizer)

    def code(self, x: Pictures) -> Float[Tensor, "batch *code"]:
        """What is left of the pictures."""
        check_pictures(self, x, self.decoder)
        return self.encoder(x)

    def forward(self, x: Pictures) -> Pictures:
        """Pictures; values may leave 0 … 1."""
        return self.decoder(self.code(x)).float()

    def loss(self, batch: Batch) -> Mean | dict[str, Mean]:
        code = self.code(batch["x"])
        error = self.criterion(self.decoder(code).float(), clean(batch))
        if self.sparsity == 0:
            return error
        return {"error": error, "sparsity": self.sparsity * Mean.of(code.float().abs())}

    def predict(self, **inputs: Tensor) -> Pictures:
        """Pictures of 0 … 1."""
        with torch.no_grad():
            return self(**inputs).clamp(0, 1)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import PSNR, MeanLoss

        return MetricCollection({"psnr": PSNR(), "loss": MeanLoss()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """One forward pass for both; the loss is the criterion alone."""
        outputs, target = self(batch["x"]), clean(batch)
        metrics["loss"].update(self.criterion(outputs, target))
        metrics["psnr"].update(outputs.clamp(0, 1), target)


def clean(batch: Batch) -> Pictures:
    """The picture that is meant: the target where that is one, else what was given."""
    target = batch.get("target")
    return target if target is not None and target.shape == batch["x"].shape else batch["x"]


def check_pictures(task: Task, x: Pictures, decoder: Decoder) -> None:
    """Refuse what a task's networks cannot learn from.

    Raises:
        ValueError: the pictures are not of the decoder's shape; or one alone is learned from, and a batch norm asks how
            a code's numbers vary over the batch.
    """
    check_shape(x, decoder.shape)
    norm = normed_by_batch(task) if len(x) == 1 and task.training else None
    if norm is not None:
        raise ValueError(
            f"a batch of one picture has no statistics, which {norm[0]}, a {norm[1]}, normalises by: learn from "
            "batches of 2 or more, or take LayerNorm() or GroupNorm()"
        )

"""Losses whose target is a number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from descend.functional import Mean
from descend.losses.shapes import same_shape


def mse(prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]) -> Mean:
    """(p - y)², averaged over all numbers."""
    same_shape(prediction, target)
    return Mean(functional.mse_loss(prediction, target, reduction="sum"), prediction.numel())


def mae(prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]) -> Mean:
    """|p - y|, averaged over all numbers."""
    same_shape(prediction, target)
    return Mean(functional.l1_loss(prediction, target, reduction="sum"), prediction.numel())


def huber(prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], delta: float = 1.0) -> Mean:
    """½(p - y)² where |p - y| ≤ δ, else δ(|p - y| - ½δ) (Huber 1964); δ > 0, in the target's unit."""
    same_shape(prediction, target)
    return Mean(functional.huber_loss(prediction, target, reduction="sum", delta=delta), prediction.numel())


def quantile(
    prediction: Float[Tensor, "*shape quantiles"], target: Float[Tensor, "*shape"], quantiles: Sequence[float]
) -> Mean:
    """The pinball loss max(q·(y - p), (q - 1)·(y - p)), smallest where p is the q-th quantile (Koenker, Bassett 1978).

    Args:
        prediction: one number a quantile on the last axis.
        quantiles: each in (0, 1).
    """
    if prediction.shape != (*target.shape, len(quantiles)):
        raise ValueError(
            f"for {len(quantiles)} quantiles of a target {tuple(target.shape)} the prediction must be "
            f"{(*target.shape, len(quantiles))}, not {tuple(prediction.shape)}"
        )
    q = prediction.new_tensor(list(quantiles))
    rest = target[..., None] - prediction
    return Mean.of(torch.maximum(q * rest, (q - 1) * rest))

"""Losses over distances between representations."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from descend.functional import Mean
from descend.losses.shapes import same_shape


def cosine(a: Float[Tensor, "batch width"], b: Float[Tensor, "batch width"]) -> Mean:
    """1 - cos(a, b), averaged over the batch; 0 … 2."""
    same_shape(a, b)
    return Mean.of(1 - functional.cosine_similarity(a, b, dim=1))


def triplet(
    anchor: Float[Tensor, "batch width"],
    positive: Float[Tensor, "batch width"],
    negative: Float[Tensor, "batch width"],
    margin: float = 1.0,
) -> Mean:
    """max(0, ‖a - p‖ - ‖a - n‖ + margin), averaged over the batch (Schroff et al. 2015, eq. 3, unsquared)."""
    same_shape(anchor, positive)
    same_shape(anchor, negative)
    values = functional.triplet_margin_loss(anchor, positive, negative, margin=margin, reduction="sum")
    return Mean(values, len(anchor))


def contrastive(
    a: Float[Tensor, "batch width"],
    b: Float[Tensor, "batch width"],
    alike: Float[Tensor, "batch"],
    margin: float = 1.0,
) -> Mean:
    """½·s·d² + ½·(1-s)·max(0, margin - d)² with d = ‖a - b‖, s = 1 for pairs alike (Hadsell et al. 2006, eq. 4)."""
    same_shape(a, b)
    if alike.shape != (len(a),):
        raise ValueError(f"alike says of each of {len(a)} pairs whether it is one: [{len(a)}], not {[*alike.shape]}")
    distance = functional.pairwise_distance(a, b, eps=1e-12)
    return Mean.of(0.5 * alike * distance**2 + 0.5 * (1 - alike) * (margin - distance).clamp(min=0) ** 2)


def info_nce(a: Float[Tensor, "batch width"], b: Float[Tensor, "batch width"], temperature: float = 0.1) -> Mean:
    """Each of 2·batch views must find its partner among all others, by cosine: NT-Xent (Chen et al. 2020, eq. 1).

    The whole batch are each view's negatives, so the loss is ``coupled``. ``temperature`` > 0.
    """
    same_shape(a, b)
    views = functional.normalize(torch.cat([a, b]), dim=1)
    scores = (views @ views.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(views), device=a.device).roll(len(a))
    return Mean(functional.cross_entropy(scores, partner, reduction="sum"), len(views), coupled=True)

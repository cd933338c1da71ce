"""Losses over distances and angles between representations."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional

from descend.functional import Mean
from descend.losses.classification import cross_entropy
from descend.losses.shapes import class_numbers, one_class_each, same_shape


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


def semi_hard_triplet(
    embedding: Float[Tensor, "batch width"], target: Integer[Tensor, "batch"], margin: float = 0.2
) -> Mean:
    """`triplet` over all pairs of one class in the batch, each with the nearest sample of another class that is
    farther away than the partner is; with the farthest of all, where none is (Schroff et al. 2015, section 3.2).

    The nearest of all would be hard from the first step on, and drives everything into one point. The batch holds each
    pair's negatives, so the loss is ``coupled``; without two samples of one class and one of another it counts nothing.
    """
    one_class_each(embedding, target)
    alike = target[:, None] == target
    with torch.no_grad():
        distance = torch.cdist(embedding, embedding)
        anchor, positive = alike.fill_diagonal_(False).nonzero(as_tuple=True)
        other = target[anchor][:, None] != target
        kept = other.any(1)
        anchor, positive, other = anchor[kept], positive[kept], other[kept]
        farther = other & (distance[anchor] > distance[anchor, positive][:, None])
        near = distance[anchor].masked_fill(~farther, torch.inf).min(1).indices
        far = distance[anchor].masked_fill(~other, -torch.inf).max(1).indices
        negative = torch.where(farther.any(1), near, far)
    (term,) = triplet(embedding[anchor], embedding[positive], embedding[negative], margin).terms
    return Mean(term.total, term.count, coupled=True)


def arcface(
    embedding: Float[Tensor, "batch width"],
    target: Integer[Tensor, "batch"],
    centres: Float[Tensor, "classes width"],
    margin: float = 0.5,
    scale: float = 64.0,
) -> Mean:
    """Cross-entropy of s·cos θ, θ being the angle to each class's centre, with s·cos(θ + m) for the class's own (Deng
    et al. 2019, "ArcFace", eq. 3): an embedding must be nearer to its own centre by an angle of m.

    Past θ = π - m, where cos(θ + m) would rise again, it falls on as -2 - cos(θ + m) (so Liu et al. 2017, "SphereFace",
    eq. 7).

    Args:
        embedding, centres: of any length; angles are all that counts.
        margin: m, 0 … π.
        scale: s > 0. What it asks for grows with the number of classes (Wang et al. 2018, "CosFace", eq. 6).
    """
    with torch.autocast(embedding.device.type, enabled=False):  # near 0, angles are lost in half precision
        exact = torch.promote_types(embedding.dtype, torch.float32)
        cosine = functional.linear(*(functional.normalize(rows.to(exact), dim=1) for rows in (embedding, centres)))
        target = class_numbers(cosine, target)
        own = cosine.gather(1, target[:, None])
        # At an angle of 0 the sine has no slope.
        sine = (1 - own.square()).clamp(min=torch.finfo(own.dtype).eps).sqrt()
        moved = own * math.cos(margin) - sine * math.sin(margin)
        moved = torch.where(own > -math.cos(margin), moved, -2 - moved)
        return cross_entropy(scale * cosine.scatter(1, target[:, None], moved), target)


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

"""Losses whose target is a class, or several yes-or-no answers."""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional

from descend.functional import Mean
from descend.losses.shapes import class_numbers, same_shape


def cross_entropy(
    logits: Float[Tensor, "batch classes *places"],
    target: Integer[Tensor, "batch *places"] | Float[Tensor, "batch classes *places"],
    weight: Float[Tensor, "classes"] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
) -> Mean:
    """-log softmax(logits)[target], averaged over the targets that are not ignored, each counting its class's weight;
    or -Σ target·log softmax(logits), where the target is a share for each class, as mixed pictures have.

    Args:
        weight: of each class; all 1 if None.
        label_smoothing: share of the target spread over all classes, 0 … 1 (Szegedy et al. 2016, section 7).
        ignore_index: targets of this value teach nothing and count nothing.
    """
    if target.is_floating_point():
        same_shape(logits, target)
        total = functional.cross_entropy(logits, target, weight, reduction="sum", label_smoothing=label_smoothing)
        return Mean(total, target.numel() // target.shape[1])
    target = class_numbers(logits, target)
    if logits.dim() == 2 and label_smoothing == 0.0 and weight is None:
        # The kernel sums, counts and divides; dividing apart takes a small network's step 35 µs more. 1 asks for the
        # mean.
        logs = torch.log_softmax(logits, 1, dtype=torch.promote_types(logits.dtype, torch.float32))
        return Mean.divided(*torch.ops.aten.nll_loss_forward(logs, target, None, 1, ignore_index))
    total = functional.cross_entropy(
        logits, target, weight, ignore_index=ignore_index, reduction="sum", label_smoothing=label_smoothing
    )
    kept = target != ignore_index
    # An ignored target may be any number, so it is none to index by.
    return Mean(total, kept.sum() if weight is None else (weight[target.where(kept, 0)] * kept).sum())


def binary_cross_entropy(
    logits: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    pos_weight: Float[Tensor, "..."] | None = None,
    label_smoothing: float = 0.0,
) -> Mean:
    """-[y log σ(logit) + (1-y) log(1-σ(logit))], averaged over all answers; targets in [0, 1].

    Args:
        pos_weight: how much more a yes counts than a no, broadcast over the last axes; it weighs and is not counted.
        label_smoothing: targets are drawn towards ½ by this share, 0 … 1.
    """
    same_shape(logits, target)
    target = target * (1 - label_smoothing) + 0.5 * label_smoothing
    total = functional.binary_cross_entropy_with_logits(logits, target, pos_weight=pos_weight, reduction="sum")
    return Mean(total, logits.numel())


def hinge(scores: Float[Tensor, "batch classes"], target: Integer[Tensor, "batch"], margin: float = 1.0) -> Mean:
    """max(0, margin + max_{j≠y} s_j - s_y): one class out of several (Crammer and Singer 2001, eq. 4)."""
    target = class_numbers(scores, target)
    right = scores.gather(1, target[:, None])
    wrong = scores.scatter(1, target[:, None], -torch.inf).max(1, keepdim=True).values
    return Mean.of((margin + wrong - right).clamp(min=0))


def binary_hinge(scores: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], margin: float = 1.0) -> Mean:
    """max(0, margin - y·s) with targets -1 and +1, not 0 and 1 (Cortes and Vapnik 1995)."""
    same_shape(scores, target)
    return Mean.of((margin - target * scores).clamp(min=0))


def focal(
    logits: Float[Tensor, "batch classes *places"],
    target: Integer[Tensor, "batch *places"],
    gamma: float = 2.0,
    weight: Float[Tensor, "classes"] | None = None,
) -> Mean:
    """-w·(1-p)^γ log p of the true class, so that easy samples count little (Lin et al. 2017, eq. 5).

    Averaged over all targets: a class's ``weight`` is the paper's α, which weighs and is not counted.

    Args:
        gamma: γ ≥ 0; 0 is the cross-entropy.
        weight: of each class; all 1 if None.
    """
    target = class_numbers(logits, target)
    logs = functional.log_softmax(logits, 1).gather(1, target[:, None]).squeeze(1)
    # 1 - p without cancellation. Where p is 1, the slope of x^γ is infinite for γ < 1, and infinity times 0 is NaN.
    doubt = (-torch.expm1(logs)).clamp(min=torch.finfo(logs.dtype).tiny)
    values = -(doubt**gamma) * logs
    return Mean.of(values if weight is None else values * weight[target])


def kl(logits: Float[Tensor, "batch classes"], target: Float[Tensor, "batch classes"]) -> Mean:
    """KL(target ‖ softmax(logits)) = Σ t·(log t - log p), averaged over the batch; rows of target sum to 1
    (Kullback and Leibler 1951)."""
    same_shape(logits, target)
    total = functional.kl_div(functional.log_softmax(logits, 1), target, reduction="sum")
    return Mean(total, len(logits))


def dice(
    logits: Float[Tensor, "batch classes *places"], target: Integer[Tensor, "batch *places"], smooth: float = 1.0
) -> Mean:
    """1 - (2 Σ p·y + s) / (Σ p + Σ y + s), averaged over the classes, the sums over all places of the whole batch
    (Milletari et al. 2016, eq. 8, without squares). The batch is one quantity, so it must not be split: ``coupled``."""
    lost = _overlaps_lost(logits, target, [0, *range(2, logits.ndim)], smooth)
    return Mean(lost.sum(), lost.numel(), coupled=True)


def sample_dice(
    logits: Float[Tensor, "batch classes *places"], target: Integer[Tensor, "batch *places"], smooth: float = 1.0
) -> Mean:
    """`dice` of each sample alone, averaged over samples and classes, so that a batch may be split."""
    lost = _overlaps_lost(logits, target, list(range(2, logits.ndim)), smooth)
    return Mean(lost.sum(), lost.numel())


def _overlaps_lost(logits: Tensor, target: Tensor, axes: list[int], smooth: float) -> Tensor:
    target = class_numbers(logits, target)
    truth = functional.one_hot(target, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    p = logits.softmax(1)
    return 1 - (2 * (p * truth).sum(axes) + smooth) / (p.sum(axes) + truth.sum(axes) + smooth)

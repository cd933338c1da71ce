"""Losses of words: a vocabulary's logits are many, and most are needed only to be summed."""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional

from descend.functional import Mean
from descend.losses.classification import cross_entropy

LARGE = 1 << 24
"""Logits of a batch, from which on they are made a part at a time: 64 MB in float32."""


def word_cross_entropy(
    states: Float[Tensor, "batch time width"],
    target: Integer[Tensor, "batch time"],
    weight: Float[Tensor, "vocabulary width"],
    bias: Float[Tensor, "vocabulary"] | None = None,
    cap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
) -> Mean:
    """-log softmax(W·h + b)[target], averaged over the words that are not ignored. Where there are many logits, they
    are made, used and forgotten a part at a time (torch's ``linear_cross_entropy``), so that they never stand in memory
    together; with a cap on them (`models.Logits`) they do.

    Args:
        states: h, what a head reads.
        weight, bias: of the head.
        cap: of the head.
        label_smoothing: share of the target spread over the vocabulary, 0 … 1.
        ignore_index: targets of this value teach nothing and count nothing, as padding.
    """
    if target.shape != states.shape[:2]:
        raise ValueError(
            f"states {tuple(states.shape)} and target {tuple(target.shape)}: give one word for every state, "
            f"{tuple(states.shape[:2])}"
        )
    flat, words = states.flatten(0, 1), target.flatten()
    if cap is None and flat.shape[0] * weight.shape[0] > LARGE:
        # Of bfloat16, torch adds the parts up in bfloat16 too, where a sum of thousands takes nothing on any more. On
        # CPU it makes the products in float32 whatever it is given; elsewhere each word's own is asked for, which costs
        # one more product on the way back.
        flat = flat.float() if flat.device.type == "cpu" and flat.dtype == torch.bfloat16 else flat
        brief = flat.dtype == torch.bfloat16
        total = functional.linear_cross_entropy(
            flat,
            weight.to(flat.dtype),
            words.long(),
            linear_bias=None if bias is None else bias.to(flat.dtype),
            reduction="none" if brief else "sum",
            ignore_index=ignore_index,
            options=torch.nn.LinearCrossEntropyOptions(),
        )
        total = total.float().sum() if brief else total
        if label_smoothing:
            # -log p is log Σ exp - logit, so that a share ε for all words adds ε · (the word's logit - their mean).
            own, kept = words.where(words != ignore_index, 0), (words != ignore_index)
            apart = weight[own] - weight.mean(0)
            more = (flat * apart.to(flat.dtype)).sum(1).float()
            more = more if bias is None else more + (bias[own] - bias.mean())
            total = total + label_smoothing * more.where(kept, 0.0).sum()
        return Mean(total, (words != ignore_index).sum())
    logits = functional.linear(flat, weight.to(flat.dtype), None if bias is None else bias.to(flat.dtype))
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return cross_entropy(logits, words, label_smoothing=label_smoothing, ignore_index=ignore_index)

"""Attention as two batched products with a softmax between them, in place of torch's fused kernel.

The fused kernel never writes the scores down (Dao et al. 2022), which is right where they are many. On CPU its backward
pass in bfloat16 is slower than the products, several times for short contexts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

MOST = 2**26
"""Scores of one call that are written down at most: 128 MiB in bfloat16."""


class Seen(TorchFunctionMode):
    """Whether `scaled_dot_product_attention` was called inside: ``seen.attention``."""

    attention = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.attention |= func is functional.scaled_dot_product_attention
        return func(*args, **kwargs or {})


class Products(TorchFunctionMode):
    """Inside, `scaled_dot_product_attention` is computed by `attend` where that takes it.

    >>> with Products():
    ...     y = network(x)
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention and _takes(*args, **kwargs):
            return attend(*args, **kwargs)
        return func(*args, **kwargs)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(Q·Kᵀ·scale + mask)·V over the last two axes, [batch, heads, places, width] each (Vaswani et al. 2017,
    eq. 1); causal: a place sees none after it. A mask is true where a place is seen, or it is added, as torch has it;
    who sees nobody answers 0."""
    batch, heads, places, width = query.shape
    scale = 1 / math.sqrt(width) if scale is None else scale
    # Where each product is computed and in which type, autocast decides as for any other.
    mask = query.new_zeros(places, key.shape[2])
    if is_causal:
        mask = mask.fill_(-math.inf).triu_(1)
    elif attn_mask is not None:
        mask = _added(attn_mask, query).expand(batch, heads, *attn_mask.shape[-2:]).flatten(0, 1)
    q, k, v = (each.reshape(batch * heads, each.shape[2], each.shape[3]) for each in (query, key, value))
    scores = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=scale)
    weights = scores.softmax(-1) if attn_mask is None else torch.ops.aten._safe_softmax(scores, -1)
    return torch.bmm(weights, v).view(batch, heads, places, value.shape[3])


def _added(mask: Tensor, like: Tensor) -> Tensor:
    """What a mask adds to the scores."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill_(~mask, -math.inf)


def _takes(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> bool:
    mask = kwargs.get("attn_mask")
    return (
        not args
        and not set(kwargs) - {"attn_mask", "is_causal", "scale"}
        and query.dim() == 4
        and key.shape[:2] == query.shape[:2]
        and math.prod(query.shape[:3]) * key.shape[2] <= MOST
        and (mask is None or (mask.shape[-1] == key.shape[2] and not kwargs.get("is_causal")))
    )

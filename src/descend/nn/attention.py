"""Attention: every token asks all tokens of a sequence and takes the mean of their answers,

    softmax(Q·Kᵀ/√d + bias)·V,

several times side by side, each head with maps of its own (Vaswani et al. 2017, eq. 1 and section 3.2.2). Computed by
torch's kernels, which never write the scores down.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from descend.nn.positions import Relation


class Attention(nn.Module):
    """A sequence asks itself, or a context: [batch, time, width] to the same.

    >>> y = Attention(64, 4)(x)                                  # self-attention
    >>> y = Attention(64, 4, context_width=32)(x, context)       # cross-attention
    >>> y = Attention(64, 4, causal=True, position=Rotary(16))(x)

    Args:
        width: of a token, divisible by heads.
        heads: how many.
        context_width: of the context's tokens; those of x if None.
        kv_heads: heads of keys and values, each serving several of the queries' (Ainslie et al. 2023); all if None.
        position: what acts inside: `Rotary`, `RelativeBias`; nothing if None.
        causal: a token asks only itself and those before it.
        bias: whether the four maps have one.
        dropout: of the weights, 0 ≤ p < 1.

    Raises:
        ValueError: heads do not divide the width, or kv_heads the heads.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        context_width: int | None = None,
        kv_heads: int | None = None,
        position: Relation | None = None,
        causal: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        shared = heads if kv_heads is None else kv_heads
        if heads < 1 or width % heads:
            raise ValueError(f"Attention: {heads} heads do not divide a width of {width}")
        if shared < 1 or heads % shared:
            raise ValueError(f"Attention: {shared} kv_heads do not divide {heads} heads")
        self.width = width
        self.heads = heads
        self.context_width = context_width
        self.kv_heads = kv_heads
        self.position = position
        self.causal = causal
        self.bias = bias
        self.dropout = dropout
        self.query = nn.Linear(width, width, bias)
        self.key_value = nn.Linear(context_width or width, 2 * shared * (width // heads), bias)
        self.out = nn.Linear(width, width, bias)

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        context: Float[Tensor, "batch places context_width"] | None = None,
        mask: Bool[Tensor, "#batch #heads #time places"] | None = None,
        place: Float[Tensor, "#batch time width"] | None = None,
        context_place: Float[Tensor, "#batch places context_width"] | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """Args:
        context: what is asked; x itself if None.
        mask: who may be asked; every token has somebody to ask.
        place, context_place: where the tokens stand, added to what queries and keys are made of, but not to the values
            (Carion et al. 2020, figure 10).
        """
        head, shared = self.width // self.heads, self.kv_heads or self.heads
        query = self.query(x if place is None else x + place).view(*x.shape[:2], self.heads, head).transpose(1, 2)
        both = self.key_value(x if context is None else context)
        key, value = both.view(*both.shape[:2], 2, shared, head).permute(2, 0, 3, 1, 4)
        where = place if context is None else context_place
        if where is not None:  # a map of a sum is the sum of the maps, and the value's half is left alone
            moved = functional.linear(where, self.key_value.weight[: shared * head])
            key = key + moved.view(*where.shape[:2], shared, head).transpose(1, 2)
        bias = None
        if self.position is not None:
            query, key, bias = self.position(query, key)
        how: dict[str, Any] = {"dropout_p": self.dropout} if self.training and self.dropout else {}
        if self.kv_heads is not None:
            how["enable_gqa"] = True
        if bias is None and mask is None:
            how["is_causal"] = self.causal
        else:
            how["attn_mask"] = self._scores(bias, mask, query, key)
        y = functional.scaled_dot_product_attention(query, key, value, **how)
        return self.out(y.transpose(1, 2).flatten(2))

    def _scores(self, bias: Tensor | None, mask: Tensor | None, query: Tensor, key: Tensor) -> Tensor:
        """What is added to the scores, with -∞ for who may not be asked."""
        if self.causal:
            before = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
            mask = before if mask is None else mask & before
        if bias is None:
            assert mask is not None
            return mask
        bias = bias.to(query.dtype)[None]
        return bias if mask is None else bias.masked_fill(~mask, -torch.inf)

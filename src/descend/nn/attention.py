"""Attention: every token asks all tokens of a sequence and takes the mean of their answers,

    softmax(Q·Kᵀ/√d + bias)·V,

several times side by side, each head with maps of its own (Vaswani et al. 2017, eq. 1 and section 3.2.2). Computed by
torch's kernels, which never write the scores down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from descend.nn.positions import Relation


class Cache:
    """Keys and values of the tokens that attention has seen, so that each is made once while a text grows. Sequences
    may be of unlike lengths: each writes behind its own last token, and asks no further.

    >>> cache = Cache(batch=2, room=64)
    >>> model(prompts, cache=cache)
    >>> cache.advance(lengths)                 # of the prompts without their padding
    >>> model(following, cache=cache)          # [2, 1]
    >>> cache.advance()

    Args:
        batch: sequences.
        room: tokens that one may have.
        device: where they are.

    Attributes:
        start: tokens that each sequence has.
    """

    def __init__(self, batch: int, room: int, device: torch.device | str = "cpu"):
        self.room = room
        self.start = torch.zeros(batch, dtype=torch.int64, device=device)
        self.reach = 0
        self._held: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        self._contexts: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def put(self, owner: nn.Module, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keep what an attention has made of the next tokens, [batch, heads, time, width]; gives all that it may ask,
        and who may ask it, [batch, 1, time, places]."""
        time = key.shape[2]
        if self.reach + time > self.room:
            raise ValueError(f"Cache: {self.reach} + {time} tokens do not fit into its room of {self.room}")
        if owner not in self._held:
            empty = key.new_zeros(*key.shape[:2], self.room, key.shape[3])
            self._held[owner] = (empty, empty.clone())
        places = self.start[:, None] + torch.arange(time, device=key.device)
        index = places[:, None, :, None].expand_as(key)
        for held, new in zip(self._held[owner], (key, value), strict=True):
            held.scatter_(2, index, new)
        keys, values = (held[:, :, : self.reach + time] for held in self._held[owner])
        seen = torch.arange(self.reach + time, device=key.device) <= places[:, None, :, None]
        return keys, values, seen

    def once(self, owner: nn.Module, made: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """What an attention makes of a context, which stays the same."""
        if owner not in self._contexts:
            self._contexts[owner] = made()
        return self._contexts[owner]

    def advance(self, lengths: Int[Tensor, "batch"] | int = 1) -> None:
        """So many of the tokens that were last given are to stay."""
        self.start = self.start + lengths
        self.reach = int(self.start.max())

    def choose(self, rows: Int[Tensor, "batch"]) -> None:
        """Go on with these sequences in place of the present ones, as beams do, which have one context each: contexts
        stay where they are."""
        self.start = self.start[rows]
        self._held = {owner: (keys[rows], values[rows]) for owner, (keys, values) in self._held.items()}


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
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """Args:
        context: what is asked; x itself if None.
        mask: who may be asked; every token has somebody to ask.
        cache: of the tokens before x, of a causal attention; or of the context.
        place, context_place: where the tokens stand, added to what queries and keys are made of, but not to the values
            (Carion et al. 2020, figure 10).
        """
        head = self.width // self.heads
        query = self.query(x if place is None else x + place).view(*x.shape[:2], self.heads, head).transpose(1, 2)
        own = None if context is not None else cache
        start = None if own is None else own.start
        if cache is not None and context is not None:
            key, value = cache.once(self, lambda: self._asked(context, context_place))
        else:
            key, value = self._asked(x, place) if context is None else self._asked(context, context_place)
        bias = None
        if self.position is not None:
            query, key = self.position.turned(query, start), self.position.turned(key, start)
        causal = self.causal
        if own is not None:
            if not self.causal:
                raise ValueError("Attention: what asks tokens to come cannot keep them: build it with causal=True")
            fresh = own.reach == 0
            kept_key, kept_value, seen = own.put(self, key, value)
            if not fresh:  # the first tokens of all sequences see themselves alone, which torch's kernel knows faster
                key, value, causal = kept_key, kept_value, False
                mask = seen if mask is None else mask & seen
        if self.position is not None:
            bias = self.position.added(query.shape[2], key.shape[2], start)
        how: dict[str, Any] = {"dropout_p": self.dropout} if self.training and self.dropout else {}
        if self.kv_heads is not None:
            how["enable_gqa"] = True
        if bias is None and mask is None:
            how["is_causal"] = causal
        else:
            how["attn_mask"] = self._scores(bias, mask, query, key, causal)
        y = functional.scaled_dot_product_attention(query, key, value, **how)
        return self.out(y.transpose(1, 2).flatten(2))

    def _asked(self, x: Tensor, place: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keys and values [batch, kv_heads, places, width of a head]."""
        head, shared = self.width // self.heads, self.kv_heads or self.heads
        both = self.key_value(x)
        key, value = both.view(*both.shape[:2], 2, shared, head).permute(2, 0, 3, 1, 4)
        if place is not None:  # a map of a sum is the sum of the maps, and the value's half is left alone
            moved = functional.linear(place, self.key_value.weight[: shared * head])
            key = key + moved.view(*place.shape[:2], shared, head).transpose(1, 2)
        return key, value

    def _scores(self, bias: Tensor | None, mask: Tensor | None, query: Tensor, key: Tensor, causal: bool) -> Tensor:
        """What is added to the scores, with -∞ for who may not be asked."""
        if causal:
            before = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
            mask = before if mask is None else mask & before
        if bias is None:
            assert mask is not None
            return mask
        bias = bias.to(query.dtype)
        return bias if mask is None else bias.masked_fill(~mask, -torch.inf)

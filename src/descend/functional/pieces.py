"""A parameter's gradients by every sample, held as what they factor into: norms and weighted sums without the g_i.

A linear map with input a_i and output gradient b_i has g_i = b_iᵀ·a_i, an embedding has b_i in the rows it looked up;
convolutions are linear maps of patches. Sources as in `persample`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


@dataclass
class Affine:
    """Weight and bias whose gradients factor over T positions: g_i = b_iᵀ·a_i and Σ_t b_it. A key is a parameter's id;
    None where its gradient is not wanted."""

    weight: int | None
    bias: int | None
    a: Float[Tensor, "n T in"]
    b: Float[Tensor, "n T out"]

    def squares(self) -> Float[Tensor, "n"]:
        if self.a.shape[1] == 1:
            of_b = self.b.square().sum((1, 2))
            of_a = self.a.square().sum((1, 2)) if self.weight is not None else 0.0
            return of_b * (of_a + 1.0 if self.bias is not None else of_a)
        total = self.b.sum(1).square().sum(1) if self.bias is not None else 0.0
        return total + ((self.a @ self.a.mT) * (self.b @ self.b.mT)).sum((1, 2))

    def weighted(self, factors: Float[Tensor, "n"]) -> dict[int, Tensor]:
        b = (self.b * factors[:, None, None]).flatten(0, 1)
        sums = {} if self.weight is None else {self.weight: b.mT @ self.a.flatten(0, 1)}
        return sums if self.bias is None else {**sums, self.bias: b.sum(0)}


@dataclass
class Table:
    """An embedding's weight: row ids_it of g_i receives b_it; rows that meet twice add up."""

    weight: int
    rows: int
    ids: Int[Tensor, "n T"]
    b: Float[Tensor, "n T width"]

    def squares(self) -> Float[Tensor, "n"]:
        meet = self.ids[:, :, None] == self.ids[:, None, :]
        return ((self.b @ self.b.mT) * meet).sum((1, 2))

    def weighted(self, factors: Float[Tensor, "n"]) -> dict[int, Tensor]:
        total = self.b.new_zeros(self.rows, self.b.shape[2])
        b = (self.b * factors[:, None, None]).flatten(0, 1)
        return {self.weight: total.index_add_(0, self.ids.flatten(), b)}


@dataclass
class Stack:
    """The g_i themselves."""

    key: int
    g: Float[Tensor, "n size"]

    def squares(self) -> Float[Tensor, "n"]:
        return self.g.square().sum(1)

    def weighted(self, factors: Float[Tensor, "n"]) -> dict[int, Tensor]:
        return {self.key: factors @ self.g}


Piece = Affine | Table | Stack


def piece_of(module: nn.Module, keys: dict[str, int], x: Tensor, flow: Tensor) -> Affine | Table:
    """What one call adds to a module's gradients: ``x`` went in, ``flow`` came back, samples along the first axis of
    both, then whatever axes the module was called with."""
    n, b = len(flow), flow.float() if flow.dtype in (torch.bfloat16, torch.float16) else flow
    weight, bias = keys.get("weight"), keys.get("bias")
    if isinstance(module, nn.Embedding):
        assert weight is not None
        ids, b = x.reshape(n, -1), b.reshape(n, -1, b.shape[-1])
        if module.padding_idx is not None:
            b = b * (ids != module.padding_idx)[:, :, None]
        return Table(weight, module.num_embeddings, ids, b)
    if isinstance(module, nn.Linear):
        b = b.reshape(n, -1, module.out_features)
        return Affine(weight, bias, x.reshape(n, -1, module.in_features).to(b.dtype), b)
    # A convolution is a linear map of patches: their places, over all pictures of a sample, are its positions.
    assert isinstance(module, (nn.Conv1d, nn.Conv2d))
    axes = len(module.kernel_size)
    b = b.reshape(n, -1, *b.shape[-axes - 1 :]).flatten(3).mT.flatten(1, 2)
    pictures = x.reshape(-1, *x.shape[-axes - 1 :]).to(b.dtype)
    geometry = (module.kernel_size, module.dilation, module.padding, module.stride)
    if axes == 1:
        pictures = pictures.unsqueeze(2)
        geometry = ((1, *geometry[0]), (1, *geometry[1]), (0, *geometry[2]), (1, *geometry[3]))
    patches = functional.unfold(pictures, *geometry).mT  # type: ignore[arg-type]
    return Affine(weight, bias, patches.reshape(n, b.shape[1], -1), b)


def merged(uses: list[Affine | Table]) -> list[Piece]:
    """The pieces of a module's several calls: positions of the later follow those of the earlier."""
    first = uses[0]
    b = torch.cat([use.b for use in uses], 1) if len(uses) > 1 else first.b
    if isinstance(first, Table):
        return [Table(first.weight, first.rows, torch.cat([use.ids for use in uses if isinstance(use, Table)], 1), b)]
    a = torch.cat([use.a for use in uses if isinstance(use, Affine)], 1) if len(uses) > 1 else first.a
    positions = a.shape[1]
    if positions == 1 or (first.weight is not None and 2 * positions**2 <= a.shape[2] * b.shape[2]):
        return [Affine(first.weight, first.bias, a, b)]
    # Over many positions (a convolution's) the gradients are smaller than the products of positions.
    pieces: list[Piece] = [] if first.weight is None else [Stack(first.weight, (b.mT @ a).flatten(1))]
    return pieces if first.bias is None else [*pieces, Stack(first.bias, b.sum(1))]

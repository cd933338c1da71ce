"""Muon: momentum, orthogonalised, for the matrices inside a network; AdamW for everything else.

A matrix's momentum B = U·S·Vᵀ is replaced by U·Vᵀ, so that every direction of the update has the same size:

    B ← μ·B + (1-μ)·G,    O = orthogonalised((1-μ)·G + μ·B),    W ← W - γ·λ·W - γ·√max(1, rows/columns) · O

(Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"). Convolution filters are matrices
[out, in · height · width]. Embeddings, heads, norms and vectors are not maps between hidden spaces and get AdamW.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.modules.conv import _ConvNd
from torch.optim.adamw import adamw

from descend.optim.optimizer import Named, Optimizer, decay_groups, fast


@dataclass(frozen=True)
class Muon(Optimizer):
    """Orthogonalised momentum for hidden matrices and convolution filters, AdamW for the rest. Common fields in
    `Optimizer`; the schedule multiplies both rates, and the weight decay is decoupled in both.

    The last layer is recognised by its name, ``head`` or ``logits``.

    Args:
        lr: γ of the matrices, above 0.
        momentum: μ, in [0, 1).
        nesterov: orthogonalise the look-ahead, as written above, not B itself.
        iterations: of the orthogonalisation, 1 to 99.
        rest_lr: AdamW's rate for the rest, above 0.
        betas: AdamW's β₁ and β₂, each in [0, 1).
        eps: AdamW's ε, above 0.
    """

    lr: float = 0.02
    momentum: float = 0.95
    nesterov: bool = True
    iterations: int = 5
    rest_lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def _groups(self, parameters: list[Named]) -> list[dict[str, Any]]:
        matrices = [one for one in parameters if is_hidden_matrix(one)]
        held = {one.name for one in matrices}
        rest = [one for one in parameters if one.name not in held]
        groups = decay_groups(rest, self.weight_decay, self.decay_all)
        groups = [{**group, **fast([group]), "lr": self.rest_lr, "orthogonal": False} for group in groups]
        if matrices:
            own = {"params": [one.parameter for one in matrices], "weight_decay": self.weight_decay}
            groups.insert(0, {**own, "lr": self.lr, "orthogonal": True})
        return groups

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        defaults = {name: getattr(self, name) for name in ("momentum", "nesterov", "iterations", "betas", "eps")}
        return OrthogonalMomentum(groups, {**defaults, "fused": False, "foreach": False})


class OrthogonalMomentum(torch.optim.Optimizer):
    """Muon's step, and AdamW's for the groups that are not ``orthogonal``.

    State: ``momentum_buffer`` of a matrix; ``step``, ``exp_avg``, ``exp_avg_sq`` of the rest.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None]
            if moving and group["orthogonal"]:
                self._matrices(group, moving)
            elif moving:
                self._rest(group, moving)

    def _matrices(self, group: dict[str, Any], moving: list[Tensor]) -> None:
        for parameter in moving:
            if not self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        gradients = [p.grad for p in moving if p.grad is not None]
        momenta = [self.state[p]["momentum_buffer"] for p in moving]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, momenta, group["momentum"]) if group["nesterov"] else momenta
        if group["weight_decay"]:
            torch._foreach_mul_(moving, 1 - group["lr"] * group["weight_decay"])
        # Matrices of one shape are orthogonalised together, in batched products.
        shapes: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for parameter, update in zip(moving, updates, strict=True):
            matrix = update.flatten(1)
            shapes.setdefault((matrix.shape[0], matrix.shape[1]), []).append((parameter, matrix))
        for (rows, columns), alike in shapes.items():
            turned = orthogonalised(torch.stack([matrix for _, matrix in alike]), group["iterations"])
            turned *= -group["lr"] * math.sqrt(max(1.0, rows / columns))
            for (parameter, _), change in zip(alike, turned.to(alike[0][0].dtype), strict=True):
                parameter.add_(change.view(parameter.shape))

    def _rest(self, group: dict[str, Any], moving: list[Tensor]) -> None:
        for parameter in moving:
            if not self.state[parameter]:
                device = parameter.device if group["fused"] else "cpu"
                self.state[parameter] = {
                    "step": torch.zeros((), device=device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[p] for p in moving]
        first, second = group["betas"]
        adamw(
            moving,
            [p.grad for p in moving if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            foreach=group["foreach"],
            fused=group["fused"],
            amsgrad=False,
            beta1=first,
            beta2=second,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def is_hidden_matrix(one: Named) -> bool:
    """A matrix or a convolution's filters, inside the network: no embedding, norm, head, or single row or column."""
    shape = one.parameter.shape
    if len(shape) < 2 or one.is_embedding or one.is_norm or one.name.split(".")[-2:-1] in (["head"], ["logits"]):
        return False
    # What is no layer's weight (positions, class tokens, queries) is no map from inputs to outputs.
    is_weight = one.name.rpartition(".")[2].startswith("weight")
    is_map = isinstance(one.module, _ConvNd) or (len(shape) == 2 and is_weight)
    return is_map and shape[0] > 1 and math.prod(shape[1:]) > 1


def orthogonalised(matrices: Float[Tensor, "n rows columns"], iterations: int) -> Float[Tensor, "n rows columns"]:
    """About U·Vᵀ of every U·S·Vᵀ, its singular values in about [0.7, 1.2], by Newton and Schulz's quintic iteration

        X ← a·X + (b·A + c·A²)·X,    A = X·Xᵀ,    from X = G / ‖G‖

    with Jordan's coefficients, whose slope at 0 is as steep as it can be. In bfloat16, which it bears, on CUDA and
    wherever the passes are in half precision (autocast).
    """
    a, b, c = _COEFFICIENTS
    kind = matrices.device.type
    half = matrices.is_cuda or torch.is_autocast_enabled(kind)
    x = matrices.to(torch.bfloat16 if half else torch.promote_types(matrices.dtype, torch.float32))
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    with torch.autocast(kind, enabled=False):
        for _ in range(iterations):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).contiguous()


_COEFFICIENTS = (3.4445, -4.7750, 2.0315)

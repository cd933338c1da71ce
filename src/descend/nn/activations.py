"""Activations: torch's own, and the few it lacks.

| name | formula | source |
|---|---|---|
| `Sigmoid`, `Tanh`, `Softmax` | 1/(1+e⁻ˣ), tanh x, eˣⁱ/Σeˣʲ | |
| `ReLU`, `LeakyReLU`, `PReLU` | max(0, x), max(ax, x), the same with a learned | Nair 2010, Maas 2013, He 2015 |
| `ReLU6` | min(6, max(0, x)), whose range suits few bits | Howard 2017 |
| `ELU`, `SELU` | x or α(eˣ-1), the same scaled to keep mean 0 and variance 1 | Clevert 2016, Klambauer 2017 |
| `GELU`, `SiLU`, `Mish` | x·Φ(x), x·σ(x), x·tanh(softplus x) | Hendrycks 2016, Elfwing 2018, Misra 2019 |
| `SquaredReLU` | max(0, x)² | So 2021 |
| `Gated` | a · f(b), where x = [a, b] | Dauphin 2017, Shazeer 2020 |
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import ELU, GELU, SELU, LeakyReLU, Mish, PReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh


class ReLU6(nn.Module):
    """min(6, max(0, x)) (Howard et al. 2017). Not torch's own: compiled (torch 2.13, CPU), that one's gradient is
    silently wrong where channels lie last and a mean over places follows."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return torch.relu(x).clamp(max=6)


class SquaredReLU(nn.Module):
    """max(0, x)² (So et al. 2021, "Primer", section 4)."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        positive = torch.relu(x)
        # The product stays in bfloat16 under autocast, where a power goes to float32 and back; the bits are the same.
        return positive * positive


class Gated(nn.Module):
    """a · f(b), where a and b are the halves of one axis: the GLU family (Shazeer 2020, eq. 5 and 6).

    Args:
        activation: f. A sigmoid makes GLU, ReLU makes ReGLU, GELU GEGLU, SiLU SwiGLU.
        dim: the axis, of an even length: -1 behind a linear layer, 1 behind a convolution.

    Raises:
        ValueError: the axis has an odd length.
    """

    def __init__(self, activation: nn.Module, dim: int = -1):
        super().__init__()
        self.activation = activation
        self.dim = dim

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if x.shape[self.dim] % 2:
            raise ValueError(f"Gated halves axis {self.dim}, so its length must be even, not {x.shape[self.dim]}")
        a, b = x.chunk(2, self.dim)
        return a * self.activation(b)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


def each(activation: nn.Module) -> nn.Module:
    """The activation for one more layer: a copy where it keeps anything (parameters, buffers), else the same object."""
    return copy.deepcopy(activation) if activation.state_dict() else activation


def glu(dim: int = -1) -> Gated:
    """a · σ(b) (Dauphin et al. 2017)."""
    return Gated(Sigmoid(), dim)


def reglu(dim: int = -1) -> Gated:
    """a · max(0, b)."""
    return Gated(ReLU(), dim)


def geglu(dim: int = -1) -> Gated:
    """a · b·Φ(b)."""
    return Gated(GELU(), dim)


def swiglu(dim: int = -1) -> Gated:
    """a · b·σ(b)."""
    return Gated(SiLU(), dim)


__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Gated",
    "LeakyReLU",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SquaredReLU",
    "Tanh",
    "each",
    "geglu",
    "glu",
    "reglu",
    "swiglu",
]

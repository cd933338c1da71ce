"""How weights begin. A scheme keeps the signal's variance from layer to layer, given what the activation does to it:

    Var(w) = gain² / fan_in  (`LeCun`, `He`),    gain² · 2 / (fan_in + fan_out)  (`Xavier`),

where the gain makes good what the activation loses: √2 for a ReLU, which loses half (`He`), 1 for SELU, which was made
so (`LeCun`).
`fitting` says which goes with which activation, and `gain` measures it for any other.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from descend.nn.activations import Gated


class Scheme(ABC):
    """``scheme(weight)`` fills a weight [out, in, *kernel] in place, drawing from torch's default generator."""

    @abstractmethod
    def __call__(self, weight: Tensor) -> None: ...


@dataclass(frozen=True)
class Xavier(Scheme):
    """Uniform, for activations that are linear at 0: tanh, sigmoid, softmax heads (Glorot and Bengio 2010, eq. 16)."""

    gain: float = 1.0

    def __call__(self, weight: Tensor) -> None:
        nn.init.xavier_uniform_(weight, self.gain)


@dataclass(frozen=True)
class He(Scheme):
    """Normal, for ReLU and its kin (He et al. 2015, eq. 14). ``slope`` is that of a leaky ReLU below 0; ``fan`` is
    ``"fan_in"``, or ``"fan_out"`` to keep the gradient's variance instead."""

    slope: float = 0.0
    fan: Literal["fan_in", "fan_out"] = "fan_in"

    def __call__(self, weight: Tensor) -> None:
        nn.init.kaiming_normal_(weight, self.slope, self.fan, "leaky_relu")


@dataclass(frozen=True)
class LeCun(Scheme):
    """Normal, variance gain²/fan_in (LeCun et al. 1998, section 4.6); with gain 1 for SELU (Klambauer et al. 2017)."""

    gain: float = 1.0

    def __call__(self, weight: Tensor) -> None:
        fan_in, _ = nn.init._calculate_fan_in_and_fan_out(weight)
        nn.init.normal_(weight, 0.0, self.gain / math.sqrt(fan_in))


@dataclass(frozen=True)
class Orthogonal(Scheme):
    """A random orthogonal matrix, times ``gain`` (Saxe et al. 2014)."""

    gain: float = 1.0

    def __call__(self, weight: Tensor) -> None:
        nn.init.orthogonal_(weight, self.gain)


@dataclass(frozen=True)
class TruncatedNormal(Scheme):
    """Normal, cut at two standard deviations, for Transformers (Dosovitskiy et al. 2021)."""

    std: float = 0.02

    def __call__(self, weight: Tensor) -> None:
        nn.init.trunc_normal_(weight, std=self.std, a=-2 * self.std, b=2 * self.std)


def fitting(activation: nn.Module) -> Scheme:
    """The scheme that keeps the signal's size through this activation.

    | activation | scheme |
    |---|---|
    | ReLU, leaky ReLU, PReLU | `He`, of their slope below 0 |
    | tanh | `Xavier`, gain 5/3 |
    | sigmoid, softmax | `Xavier`; they squash whatever comes, and no scheme keeps a deep stack of them alive |
    | SELU | `LeCun` |
    | GELU, SiLU, Mish, ELU, ReLU², gated ones, your own | `LeCun` of the measured `gain` |
    """
    if isinstance(activation, nn.ReLU):
        return He()
    if isinstance(activation, nn.LeakyReLU):
        return He(activation.negative_slope)
    if isinstance(activation, nn.PReLU):
        return He(activation.init)
    if isinstance(activation, nn.Tanh):
        return Xavier(gain=5 / 3)
    if isinstance(activation, nn.Sigmoid | nn.Softmax):
        return Xavier()
    if isinstance(activation, nn.SELU):
        return LeCun()
    return LeCun(gain(activation))


def gain(activation: nn.Module) -> float:
    """The g that keeps a signal of size 1: E[f(g·z)²] = 1 for z ~ N(0, 1), and g²·E[f(g·z)²] = 1 for a gate a · f(b).

    For elementwise activations; integrated over |z| ≤ 10 in float64, so nothing is drawn. Of one that is bounded below
    that, 1 / √E[f(z)²], which keeps the size before it. Where f is no multiple of its input at every size (GELU, SiLU,
    and ReLU² and gates most of all), other sizes drift away from 1 with depth: a deep stack needs norms.
    """
    inner = copy.deepcopy(activation.activation if isinstance(activation, Gated) else activation).cpu().double()
    z = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)

    def power(g: float) -> float:
        with torch.no_grad():
            out = torch.trapezoid(density * inner(g * z).square(), z).item()
        return g * g * out if isinstance(activation, Gated) else out

    low, high = 0.0, 16.0
    if power(high) < 1:
        return 1 / math.sqrt(power(1.0))
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) < 1 else (low, middle)
    return high


def initialise(module: nn.Module, scheme: Scheme) -> None:
    """Every weight of a linear map or convolution inside by the scheme, its bias at 0."""
    for inner in module.modules():
        if isinstance(inner, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            scheme(inner.weight)
            if inner.bias is not None:
                nn.init.zeros_(inner.bias)


def initialise_head(head: nn.Linear | nn.Conv2d | nn.Conv3d) -> None:
    """A last layer: variance 1/(3·fan_in), bias 0, so that the first outputs are small and no class is favoured."""
    bound = 1 / math.sqrt(head.weight[0].numel())
    nn.init.uniform_(head.weight, -bound, bound)
    if head.bias is not None:
        nn.init.zeros_(head.bias)

"""How weights begin. A scheme keeps the signal's variance from layer to layer, given what the activation does to it:

    Var(w) = gain² / fan_in  (`LeCun`, `He`),    gain² · 2 / (fan_in + fan_out)  (`Xavier`),

where He's gain is √2, since a ReLU loses half. `fitting` says which goes with which activation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn


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
    """Normal, variance 1/fan_in, for SELU (LeCun et al. 1998, section 4.6; Klambauer et al. 2017)."""

    def __call__(self, weight: Tensor) -> None:
        nn.init.kaiming_normal_(weight, nonlinearity="linear")


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
    """The scheme that keeps the signal's variance through this activation."""
    if isinstance(activation, nn.Tanh):
        return Xavier(gain=5 / 3)
    if isinstance(activation, nn.Sigmoid | nn.Softmax):
        return Xavier()
    if isinstance(activation, nn.SELU):
        return LeCun()
    if isinstance(activation, nn.LeakyReLU):
        return He(activation.negative_slope)
    if isinstance(activation, nn.PReLU):
        return He(activation.init)
    return He()


def initialise(module: nn.Module, scheme: Scheme) -> None:
    """Every weight of a linear map or convolution inside by the scheme, its bias at 0."""
    for inner in module.modules():
        if isinstance(inner, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            scheme(inner.weight)
            if inner.bias is not None:
                nn.init.zeros_(inner.bias)


def initialise_head(head: nn.Linear) -> None:
    """A last layer: variance 1/(3·fan_in), bias 0, so that the first outputs are small and no class is favoured."""
    bound = 1 / math.sqrt(head.in_features)
    nn.init.uniform_(head.weight, -bound, bound)
    nn.init.zeros_(head.bias)

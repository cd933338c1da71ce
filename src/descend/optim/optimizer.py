"""Descriptions of optimizers, and the parameters they are built for.

A description is a frozen dataclass: it can be printed, compared, saved in a run's page and built as often as needed,
and holds no tensor. `Optimizer.build` makes of it torch's own optimizer, fused where torch has that for the parameters'
device, over two groups: parameters that decay, and those that do not (norms, biases, embeddings: shrinking a scale or
a rarely seen word towards zero regularises nothing).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from descend.optim.average import EMA
from descend.optim.clip import Clip
from descend.optim.rates import Rates
from descend.optim.rules import Plain, Rule
from descend.optim.schedules import Constant, Schedule


@dataclass(frozen=True)
class Named:
    """A parameter, its dotted name, and the module that owns it: a matrix of a Linear and the table of an Embedding
    look the same and are treated differently."""

    name: str
    parameter: nn.Parameter
    module: nn.Module

    @property
    def is_embedding(self) -> bool:
        return isinstance(self.module, (nn.Embedding, nn.EmbeddingBag))

    @property
    def is_norm(self) -> bool:
        return isinstance(self.module, (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm))

    @property
    def decays(self) -> bool:
        return self.parameter.ndim >= 2 and not self.is_embedding and not self.is_norm


def named(modules: Mapping[str, nn.Module]) -> list[Named]:
    """Every parameter that requires a gradient, once, in the order of ``parameters()``.

    Names are dotted paths behind the module's key (none behind the key ``""``). A tied parameter keeps its first name;
    if any of its owners is an embedding, it counts as one.
    """
    found: dict[int, Named] = {}
    for key, root in modules.items():
        for path, module in root.named_modules(prefix=key):
            for name, parameter in module.named_parameters(prefix=path, recurse=False):
                one = Named(name, parameter, module)
                first = found.setdefault(id(parameter), one)
                if one.is_embedding and not first.is_embedding:
                    found[id(parameter)] = Named(first.name, parameter, module)
    return [one for one in found.values() if one.parameter.requires_grad]


@dataclass(frozen=True)
class Optimizer(ABC):
    """Base of every description.

    Args:
        lr: the learning rate, above 0; the schedule multiplies it.
        weight_decay: at least 0; how it enters the step is the method's own.
        decay_all: let norms, biases and embeddings decay too.
        schedule: the learning rate's factor over the run.
        clip: a bound on the gradient, `ClipNorm` or `ClipValue`.
        rule: which gradient is followed, `Plain`, `SharpnessAware` or `PerSample`.
        average: averaged weights for evaluation, `EMA`.
        rates: rates by depth, `Rates`; one rate for all if None.

    Raises:
        ValueError: a number is out of its range.
    """

    lr: float = 1e-3
    weight_decay: float = field(default=0.0, kw_only=True)
    decay_all: bool = field(default=False, kw_only=True)
    schedule: Schedule = field(default=Constant(), kw_only=True)
    clip: Clip | None = field(default=None, kw_only=True)
    rule: Rule = field(default=Plain(), kw_only=True)
    average: EMA | None = field(default=None, kw_only=True)
    rates: Rates | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name, (holds, words) in _RANGES.items():
            value = getattr(self, name, None)
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and not holds(number):
                    raise ValueError(f"{type(self).__name__}: {name} must be {words}, got {value}")

    def build(self, parameters: list[Named]) -> torch.optim.Optimizer:
        """The optimizer over these parameters; every group carries ``base_lr``, its rate before the schedule, and
        ``begin``, the progress from which it moves."""
        groups = self._groups(parameters)
        optimizer = self._build(groups if self.rates is None else self.rates.groups(groups, parameters, self.lr))
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
            group.setdefault("begin", 0.0)
        if any(group.get("fused") for group in optimizer.param_groups):
            optimizer.register_step_pre_hook(_align)
        return optimizer

    @abstractmethod
    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer: ...

    def _groups(self, parameters: list[Named]) -> list[dict[str, Any]]:
        return decay_groups(parameters, self.weight_decay, self.decay_all)


def decay_groups(parameters: list[Named], weight_decay: float, decay_all: bool) -> list[dict[str, Any]]:
    """The group that decays and the one that does not; one alone where there is no difference to make, because
    every group costs the step another kernel."""
    split: dict[float, list[nn.Parameter]] = {}
    for one in parameters:
        split.setdefault(weight_decay if decay_all or one.decays else 0.0, []).append(one.parameter)
    return [{"params": held, "weight_decay": decay} for decay, held in split.items()]


def fast(groups: list[dict[str, Any]]) -> dict[str, bool]:
    """``fused=True`` where torch's one-kernel step exists for all these parameters, else ``foreach=True``."""
    held = [p for group in groups for p in group["params"]]
    fused = all(p.device.type in _FUSED_DEVICES and p.is_floating_point() for p in held)
    return {"fused": True} if fused else {"foreach": True}


_FUSED_DEVICES = ("cpu", "cuda", "mps")

_RANGES: dict[str, tuple[Any, str]] = {
    "lr": (lambda x: 0 < x < math.inf, "above 0"),
    "rest_lr": (lambda x: 0 < x < math.inf, "above 0"),
    "weight_decay": (lambda x: 0 <= x < math.inf, "at least 0"),
    "momentum": (lambda x: 0 <= x < 1, "in [0, 1)"),
    "betas": (lambda x: 0 <= x < 1, "two numbers in [0, 1)"),
    "alpha": (lambda x: 0 <= x < 1, "in [0, 1)"),
    "rho": (lambda x: 0 <= x < 1, "in [0, 1)"),
    "eps": (lambda x: 0 < x < math.inf, "above 0"),
    "iterations": (lambda x: 1 <= x < 100, "1 to 99"),
}


def _align(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    """The fused CPU kernels walk parameter and gradient by memory, whatever their strides: a transposed gradient, from
    a rule or a server, would be added crosswise without a word."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is not None and gradient.stride() != parameter.stride():
                parameter.grad = torch.empty_like(parameter).copy_(gradient)

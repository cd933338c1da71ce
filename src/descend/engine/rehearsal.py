"""A step before step 0: taken from the state as it is, looked at, timed, and undone.

A faster way of computing is kept only if what it gives is what plain computing gives: the loss, and every gradient that
an optimizer is handed. Parameter by parameter, a gradient g agrees with its reference g₀ if

    ‖g - g₀‖ ≤ tolerance · max(‖g₀‖, ‖all gradients of that descent‖ / 100),

the second term being for parameters whose gradient is rounding only, such as a bias ahead of a batch norm; or else, for
networks that blow rounding up (a ResNet's first layers at initialisation do, a thousandfold and more), if

    ‖g - g₀‖ ≤ 4 · ‖g₁ - g₀‖   and   ‖g - g₀‖ ≤ ¾ · max(…),

g₁ being the reference once more with every weight off by the rounding of the precision that is tried.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from descend.engine.attention import Seen
from descend.engine.checkpoint import pack, unpack
from descend.engine.descent import Descent
from descend.engine.passes import Metrics
from descend.engine.task import Task
from descend.functional import keyed

TOLERANCE = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.1}
"""Largest relative error of a gradient, by precision."""
LOSS = {"float32": 1e-4, "float16": 0.01, "bfloat16": 0.03}
"""Largest relative error of a loss."""
ROUNDING = {"float32": 1e-5, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Relative error of a number: of one product in half precision; in float32, of a sum over a batch of feature maps."""


SCALES = 32
"""Loss scales that are tried."""


@dataclass(frozen=True)
class Outcome:
    """What one step came to.

    Attributes:
        metrics: by name.
        gradients: by descent, step of its optimizer, and parameter.
    """

    metrics: dict[str, float]
    gradients: dict[tuple[str, int, str], Tensor]

    def differs(self, reference: Outcome, nearby: Outcome, precision: str) -> str:
        """How this step differs from the reference by more than the precision explains; empty if it does not.

        Args:
            nearby: the reference with weights off by that precision's rounding.
        """
        for name, value in reference.metrics.items():
            error, own = abs(self.metrics.get(name, math.nan) - value), abs(nearby.metrics.get(name, math.nan) - value)
            if not (error <= LOSS[precision] * max(abs(value), 1.0) or error <= 4 * own):
                return f"{name} differs by {error:.1e} from {value:.4g}"
        if not reference.gradients:
            return "no gradient was seen, so none could be compared"
        if set(self.gradients) != set(reference.gradients):
            return "other parameters were moved"
        squares: dict[tuple[str, int], float] = {}
        for (descent, step, _), gradient in reference.gradients.items():
            squares[descent, step] = squares.get((descent, step), 0.0) + float(gradient.square().sum())
        for key, gradient in reference.gradients.items():
            error = float((self.gradients[key] - gradient).norm())
            own = float((nearby.gradients[key] - gradient).norm()) if key in nearby.gradients else 0.0
            size = max(float(gradient.norm()), math.sqrt(squares[key[:2]]) / 100)
            if not error <= max(TOLERANCE[precision] * size, min(4 * own, 0.75 * size)):
                much = f"{error / size:.1e} of its size" if size else f"{error:.1e}"
                return f"the gradient of {key[2]} differs by {much}"
        return ""


class Rehearsal:
    """Steps that leave no trace in the task, its descents, or what is drawn later.

    Args:
        step: one update by the batch of step 0.
    """

    def __init__(self, task: Task, seed: int, step: Callable[[], Metrics]):
        self.task, self.seed, self.step = task, seed, step
        self._tensors: dict = {}
        self._kept: Any = None

    def outcome(self, rounding: float = 0.0) -> Outcome:
        """One step from the state as it is, which it leaves as it was; ``rounding`` is the relative size of an error
        put on every weight before. A loss scale at which gradients overflow is halved until they do not."""
        found = self._outcome(rounding)
        scaled = any(descent.compute.precision == "float16" for descent in self.task.descents().values())
        for halved in range(1, SCALES if scaled else 0):
            if found.gradients:
                break
            found = self._outcome(rounding, 2.0**-halved)
        return found

    def _outcome(self, rounding: float, scale: float = 1.0) -> Outcome:
        self._keep()
        gradients: dict[tuple[str, int, str], Tensor] = {}
        hooks = [
            descent.moving.optimizer.register_step_pre_hook(_watcher(name, descent, gradients))
            for name, descent in self.task.descents().items()
        ]
        try:
            if rounding:
                draw = keyed.generator(self.seed)
                for weight in self.task.parameters():
                    noise = torch.randn(weight.shape, generator=draw).to(weight.device)
                    weight.data *= 1 + rounding * noise
            for descent in self.task.descents().values():
                if descent.moving.scale is not None:
                    descent.moving.scale.scale *= scale
            keyed.reseed(self.seed)
            metrics = {name: float(value) for name, value in self.step().items()}
        finally:
            for hook in hooks:
                hook.remove()
            self.undo()
        return Outcome(metrics, gradients)

    def seconds(self, budget: float = 0.5, most: int = 400) -> float:
        """Seconds of one step: the median over some, three at least and as many as fit into the budget; of steps that
        take longer than it, two are enough."""
        self._keep()
        taken: list[float] = []
        try:
            keyed.reseed(self.seed)
            while len(taken) < 2 or (len(taken) < most and sum(taken) < (budget if len(taken) > 2 else 2 * budget)):
                begin = time.perf_counter()
                metrics = self.step()
                float(next(iter(metrics.values())))  # waits for the device
                taken.append(time.perf_counter() - begin)
        finally:
            self.undo()
        return statistics.median(taken)

    def flops(self) -> float:
        """Floating-point operations of one step in matrix products, convolutions, attention and recurrent cells, a
        multiply-add being two."""
        from torch.utils.flop_counter import FlopCounterMode

        self._keep()
        aten = torch.ops.aten
        cells = {aten.mkldnn_rnn_layer: _recurrent, aten.mkldnn_rnn_layer_backward: _recurrent_backward}
        attention = aten._scaled_dot_product_flash_attention_for_cpu
        cells |= {attention: _attention, aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward}
        try:
            keyed.reseed(self.seed)
            with FlopCounterMode(display=False, custom_mapping=cells) as counter:
                self.step()
        finally:
            self.undo()
        return float(counter.get_total_flops())

    @cached_property
    def attends(self) -> bool:
        """Whether the step calls torch's attention."""
        self._keep()
        try:
            keyed.reseed(self.seed)
            with Seen() as seen:
                self.step()
        finally:
            self.undo()
        return seen.attention

    def _keep(self) -> None:
        if self._kept is None:
            descents = {f"descent {name}": descent.state_dict() for name, descent in self.task.descents().items()}
            self._kept = pack({"task": self.task.state_dict(), **descents}, self._tensors)

    def undo(self) -> None:
        """Put the state back."""
        state = unpack(self._kept, self._tensors)
        self.task.load_state_dict(state["task"])
        for name, descent in self.task.descents().items():
            descent.load_state_dict(state[f"descent {name}"])


def _watcher(name: str, descent: Descent, gradients: dict[tuple[str, int, str], Tensor]) -> Callable[..., None]:
    """Copies what the optimizer is handed at each of its steps."""
    count = itertools.count()

    def look(*_: object) -> None:
        step = next(count)
        for each, parameter in zip(descent.moving.names, descent.moving.parameters, strict=True):
            if parameter.grad is not None:
                gradients[name, step, each] = parameter.grad.detach().float().clone()

    return look


def _recurrent(x: Any, inner: Any, hidden: Any, *_: Any, **__: Any) -> int:
    """Of one layer's forward pass, from the shapes of its input [time, batch, inputs] and its two matrices."""
    return 2 * x[0] * x[1] * inner[0] * (inner[1] + hidden[1])


def _recurrent_backward(*shapes: Any, **rest: Any) -> int:
    return 2 * _recurrent(*shapes, **rest)


def _attention(queries: Any, keys: Any, values: Any, *_: Any, **__: Any) -> int:
    """Of the two products, from [batch, heads, time, width] each."""
    return 2 * queries[0] * queries[1] * queries[2] * keys[2] * (queries[3] + values[3])


def _attention_backward(gradient: Any, *shapes: Any, **rest: Any) -> int:
    return 2 * _attention(*shapes[:3], **rest)

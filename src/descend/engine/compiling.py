"""torch.compile on a task's steps, and taking it back.

A descent's loss and its gradients become one graph: what the network, the loss and the backward pass do is fused across
their borders, and no operation is dispatched by Python. Batches unlike the first (an epoch's last) and everything that
splits a batch or maps over its samples run through the networks as they are. Networks alone can be compiled, too, which
is for losses that cannot be captured whole.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from descend.data import Batch
from descend.engine.compute import Compute
from descend.engine.passes import Loss, Metrics, metrics_of, whole
from descend.engine.pooling import Pairs
from descend.engine.task import Task

OPTIONS: dict[str, Any] = {"fallback_random": True}
"""Dropout draws in compiled code what it draws in eager mode."""


Form = list[list[Any]]
"""Of a batch: name, shape and type of each of its tensors."""


class StepGraph:
    """Loss and gradients of one descent, compiled for batches of the form of the first.

    >>> graph = StepGraph(compute)
    >>> if graph.takes(loss, batch):
    ...     gradients, metrics = graph(loss, batch, parameters)

    Args:
        compute: for the precision.
        form: of the batches it is for; that of the first one it is asked for, where it is empty. It is filled in place.

    Attributes:
        ran: whether it has computed a step.
    """

    def __init__(self, compute: Compute, form: Form | None = None):
        import torch._dynamo
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

        torch._dynamo.config.trace_autograd_ops = True
        self.compute = compute
        # A function of its own: the compiler counts what it compiled for each code object, and gives up at eight.
        step = inspect.unwrap(_loss_and_gradients)
        step = FunctionType(step.__code__.replace(), step.__globals__)
        self._call = torch.compile(step, fullgraph=True, dynamic=False, options=OPTIONS)
        self.form: Form = [] if form is None else form
        self.ran = self.lost = False
        self._failures = (TorchDynamoException, FailOnRecompileLimitHit)
        self._asked: tuple | None = None

    def takes(self, loss: Loss, batch: Batch) -> bool:
        """Whether this loss of a batch of this form is the one that is compiled: the first method it was asked for."""
        asked = (loss, *((name, value.shape, value.dtype) for name, value in _leaves(batch)))
        if self._asked is None and inspect.ismethod(loss):
            form = [[name, list(value.shape), str(value.dtype)] for name, value in _leaves(batch)]
            if not self.form:
                self.form += form
            if form == self.form:
                self._asked = asked
        return asked == self._asked

    def __call__(
        self, loss: Loss, batch: Batch, parameters: list[nn.Parameter]
    ) -> tuple[list[Tensor | None], Metrics] | None:
        """Gradients and metrics; None, once and for all, where a graph that has run can no longer be made."""
        if self.lost:
            return None
        try:
            with self.compute.attention(), Pairs() if self.compute.device_type == "cpu" else nullcontext():
                gradients, metrics = self._call(loss, batch, parameters, self.compute.dtype, self.compute.device_type)
        except self._failures as error:
            if not self.ran:
                raise
            # What a loss reads from its task is compiled in, and a few of its values are enough.
            self.lost = True
            why = " ".join(str(error).split())[:200]
            warnings.warn(f"the step is no longer one graph: it could not be compiled anew ({why})", stacklevel=2)
            return None
        self.ran = True
        return list(gradients), metrics


def captured(task: Task) -> bool:
    """Whether a graph has computed a step of this task."""
    return any(isinstance(d.graph, StepGraph) and d.graph.ran for d in task.descents().values())


def compile_steps(task: Task, compute: Compute, made: dict[Any, Any], forms: dict[str, Form]) -> None:
    """Each descent's loss and gradients as one graph from now on, for batches of its form; one of those ``made`` where
    it is the same."""
    for name, descent in task.descents().items():
        key = (name, compute.precision, compute.products)
        if key not in made:
            made[key] = StepGraph(compute, forms.setdefault(name, []))
        descent.graph = made[key]


def compile_networks(task: Task, made: dict[Any, Any]) -> None:
    """Compile what the task's descents move; or take it from what was ``made`` before."""
    for network in _networks(task):
        if network not in made:
            made[network] = torch.compile(_caller(network), options=OPTIONS)
        network._compiled_call_impl = made[network]


def decompile(task: Task) -> None:
    for descent in task.descents().values():
        descent.graph = None
    for network in _networks(task):
        network._compiled_call_impl = None


def _loss_and_gradients(
    loss: Loss, batch: Batch, parameters: list[nn.Parameter], dtype: torch.dtype | None, device: str
) -> tuple[tuple[Tensor | None, ...], Metrics]:
    if dtype is None:
        result = loss(batch)
    else:
        with torch.autocast(device, dtype):
            result = loss(batch)
    value = whole(result).value()
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    return gradients, metrics_of(result, value)


def _leaves(batch: Batch) -> list[tuple[str, Any]]:
    found = []
    for name, value in batch.items():
        found += _leaves(value) if isinstance(value, Batch) else [(name, value)]
    return found


def _networks(task: Task) -> list[nn.Module]:
    return [network for descent in task.descents().values() for network in descent.roots().values()]


def _caller(network: nn.Module) -> Callable[..., Any]:
    """The network's call as a function of our own: the compiler passes over frames that begin in torch.nn, so
    ``nn.Sequential(…).compile()`` would silently stay eager."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return network._call_impl(*args, **kwargs)

    return call

"""A task and its process, set to compute in one way or another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from descend.engine import memory, onednn
from descend.engine.compiling import Form, compile_networks, compile_steps, decompile
from descend.engine.compute import Compute
from descend.engine.passes import Clock
from descend.engine.ranks import Ranks
from descend.engine.task import Task


class Setting:
    """How a task computes now; `install` changes it.

    Args:
        ranks, clock: what its descents are told besides.
    """

    def __init__(self, task: Task, ranks: Ranks, clock: Clock):
        self.task, self.ranks, self.clock = task, ranks, clock
        self.compute = Compute().settled()
        self.forms: dict[str, Form] = {}
        """Of the batches that are computed by one graph, by descent; a run that goes on is told them."""
        self._before = torch.get_num_threads(), memory.held(), onednn.used()
        self._laid: list[Tensor] = []
        self._compiled = False
        self._made: dict[Any, Any] = {}

    def install(self, compute: Compute) -> None:
        """Compute in this way from now on; all its choices are made."""
        self.compute = compute
        if compute.threads != torch.get_num_threads():
            torch.set_num_threads(compute.threads or 1)
        memory.hold(bool(compute.hold_memory))
        onednn.use(bool(compute.onednn))
        laid = self._lay(bool(compute.channels_last))
        if self._compiled:  # by us: what came compiled stays so
            decompile(self.task)
        if compute.compile:
            compile_networks(self.task, self._made)
        if compute.graph:
            compile_steps(self.task, compute, self._made, self.forms)
        self._compiled = bool(compute.compile or compute.graph)
        descents = self.task.descents().values()
        learning = {parameter for parameter in self.task.parameters() if parameter.requires_grad}
        for descent in descents:
            moved = {parameter for root in descent.roots().values() for parameter in root.parameters()}
            descent.attach(compute, self.ranks, self.clock, alone=learning <= moved)
            if laid:  # fused kernels walk moments in their parameters' layout
                descent.load_state_dict(descent.state_dict())

    def leave(self) -> None:
        """The process as it was before; the task is no longer compiled, and keeps its layout."""
        threads, held, used = self._before
        torch.set_num_threads(threads)
        memory.hold(held)
        onednn.use(used)
        if self._compiled:
            decompile(self.task)

    def _lay(self, channels_last: bool) -> bool:
        """Whether anything was laid out anew."""
        if not channels_last:
            laid, self._laid = self._laid, []
            for weight in laid:
                weight.data = weight.data.contiguous()
            return bool(laid)
        before = len(self._laid)
        for weight in filters(self.task):
            if not weight.is_contiguous(memory_format=torch.channels_last):
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
                self._laid.append(weight)
        return len(self._laid) > before


def filters(task: Task) -> Iterator[nn.Parameter]:
    """Of the convolutions over pictures; none of those that are computed anew whenever they are looked at, as spectral
    norm does, because a look would move its power method on."""
    for module in task.modules():
        weight = dict(module.named_parameters(recurse=False)).get("weight") if isinstance(module, nn.Conv2d) else None
        if weight is not None:
            yield weight

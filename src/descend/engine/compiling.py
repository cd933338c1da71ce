"""torch.compile as a choice that is tried before step 0: what cannot be compiled runs in eager mode, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from descend.engine.checkpoint import pack, unpack
from descend.engine.passes import Metrics
from descend.engine.task import Task
from descend.functional import keyed


def compile_task(task: Task, seed: int, step: Callable[[], Metrics]) -> str:
    """Compile what the task's descents move, and try one whole step on a copy of the state.

    Any exception (no C++ compiler, an operation that cannot be traced, a double backward) takes compilation back.
    The state after this call is the one before it.

    Returns:
        What came of it, one line for the run's record.
    """
    networks = [network for descent in task.descents().values() for network in descent.roots().values()]
    tensors: dict = {}
    kept = pack({"task": task.state_dict(), **{n: d.state_dict() for n, d in task.descents().items()}}, tensors)
    for network in networks:
        network._compiled_call_impl = torch.compile(_caller(network))
    try:
        keyed.reseed(seed)
        step()
        note = "torch.compile: compiled"
    except Exception as error:  # whatever the compiler raises, eager mode still trains
        decompile(networks)
        reason = " ".join(str(error).split())[:200]
        note = f"torch.compile: fell back to eager mode ({type(error).__name__}: {reason})"
    state = unpack(kept, tensors)
    task.load_state_dict(state["task"])
    for name, descent in task.descents().items():
        descent.load_state_dict(state[name])
    return note


def _caller(network: nn.Module) -> Callable[..., Any]:
    """The network's call as a function of our own: the compiler passes over frames that begin in torch.nn, so
    ``nn.Sequential(…).compile()`` would silently stay eager."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return network._call_impl(*args, **kwargs)

    return call


def decompile(networks: list[nn.Module]) -> None:
    for network in networks:
        network._compiled_call_impl = None

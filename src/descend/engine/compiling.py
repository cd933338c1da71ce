"""torch.compile on what a task's descents move, and taking it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from descend.engine.task import Task


def compile_networks(task: Task) -> None:
    """Compile what the task's descents move. Dropout draws in it what it draws in eager mode."""
    for network in _networks(task):
        network._compiled_call_impl = torch.compile(_caller(network), options={"fallback_random": True})


def decompile(task: Task) -> None:
    for network in _networks(task):
        network._compiled_call_impl = None


def _networks(task: Task) -> list[nn.Module]:
    return [network for descent in task.descents().values() for network in descent.roots().values()]


def _caller(network: nn.Module) -> Callable[..., Any]:
    """The network's call as a function of our own: the compiler passes over frames that begin in torch.nn, so
    ``nn.Sequential(…).compile()`` would silently stay eager."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return network._call_impl(*args, **kwargs)

    return call

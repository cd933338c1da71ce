"""Where a loss stopped being a number: the first module whose output is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from descend.data import Batch


def find(task: nn.Module, batch: Batch, rerun: Callable[[], object]) -> str:
    """Say what was not finite first: the batch, a parameter, a module's output, or the loss itself.

    ``rerun`` computes the loss of the batch again. Modules are asked in the order in which they finish, so the first
    one named is the innermost.
    """
    for name, tensor in batch.items():
        if isinstance(tensor, Tensor) and _bad(tensor):
            rows = (~tensor.isfinite()).reshape(len(tensor), -1).any(1).nonzero().flatten().tolist()
            ids = batch["index"][rows[:5]].tolist() if "index" in batch else rows[:5]
            return f"the batch's {name!r} is not finite (samples {', '.join(map(str, ids))})"
    for name, parameter in task.named_parameters():
        if _bad(parameter):
            return f"the parameter {name} was no longer finite"
    found: list[str] = []

    def hook(name: str, module: nn.Module) -> Callable[..., None]:
        def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not found and any(_bad(tensor) for tensor in _tensors(output)):
                found.append(
                    f"{name or 'task'} ({type(module).__name__}) was the first to give a value that is not finite"
                )

        return look

    handles = [module.register_forward_hook(hook(name, module)) for name, module in task.named_modules()]
    try:
        rerun()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "every module's output is finite, so it is the loss function itself"


def finite(state: Any) -> bool:
    """Whether every floating-point tensor in nested dictionaries and lists is finite."""
    return not any(_bad(tensor) for tensor in _tensors(state))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _tensors(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)


def _bad(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())

"""A batch: named tensors whose first axis counts samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

RESERVED = ("target", "boxes", "index")
"""Names that are no network's input: what is to be learned, and the samples' ids."""


class Batch(Mapping[str, Any]):
    """A mapping of tensors with one first axis; ``len`` is the number of samples, not of names.

    ``target``, ``boxes`` and ``index`` (the samples' ids) are kept apart from `inputs`, which a task's forward takes by
    name.
    Subclasses whose tensors are not one row a sample (graphs, boxes) override ``__len__`` and ``split``.
    """

    def __init__(self, tensors: Mapping[str, Any] | None = None, /, **named: Any):
        # Values are tensors, or batches where streams were zipped.
        self.tensors: dict[str, Any] = {**(tensors or {}), **named}

    def __getitem__(self, name: str) -> Any:
        try:
            return self.tensors[name]
        except KeyError:
            raise KeyError(f"this batch has no {name!r}; it has {', '.join(self.tensors) or 'nothing'}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        for tensor in self.tensors.values():
            return len(tensor)
        return 0

    @property
    def inputs(self) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in self.tensors.items() if name not in RESERVED}

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        return type(self)({name: value.to(device, non_blocking=non_blocking) for name, value in self.tensors.items()})

    def split(self, parts: int) -> list[Batch]:
        """At most ``parts`` batches of nearly equal size, in order; never an empty one."""
        parts = max(1, min(parts, len(self)))
        if parts == 1:
            return [self]
        pieces = {name: _split(tensor, parts) for name, tensor in self.tensors.items()}
        return [type(self)({name: pieces[name][i] for name in pieces}) for i in range(parts)]

    def __repr__(self) -> str:
        inside = ", ".join(f"{k}: {tuple(v.shape) if isinstance(v, Tensor) else v!r}" for k, v in self.tensors.items())
        return f"{type(self).__name__}({inside})"


def _split(value: Tensor | Batch, parts: int) -> list:
    return list(value.tensor_split(parts)) if isinstance(value, Tensor) else value.split(parts)

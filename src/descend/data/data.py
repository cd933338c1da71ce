"""Data: samples that are asked for by number, in memory or in files."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.batch import Batch
from descend.data.errors import BadData


class Data(ABC):
    """Samples 0 … len-1, each a row of named tensors."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        """The samples of these numbers, in this order."""

    def to(self, device: torch.device | str) -> Data:
        """On that device where it lies in memory; files stay files."""
        return self

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of all that is in it, 16 hexadecimal digits."""


class Tensors(Data):
    """Samples in memory, gathered by index on the device they lie on.

    Args:
        tensors: by name, all with one first axis, at least one sample long.

    Raises:
        BadData: there is no sample, the lengths differ, or a number is NaN or infinite.
    """

    def __init__(self, **tensors: Tensor):
        sizes = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{name} has {size}" for name, size in sizes.items())
            raise BadData(f"every tensor holds one row a sample, but {said}")
        if not sizes or next(iter(sizes.values())) == 0:
            raise BadData("there is not one sample: check the path, the filter or the split that made this data set")
        for name, tensor in tensors.items():
            _refuse_not_finite(name, tensor)
        self.tensors = tensors

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        return Batch({name: tensor.index_select(0, index.to(tensor.device)) for name, tensor in self.tensors.items()})

    def to(self, device: torch.device | str) -> Tensors:
        moved = Tensors.__new__(Tensors)  # checked already
        moved.tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return moved

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


class Files(Data):
    """Samples in files, read when they are asked for.

    Args:
        items: what ``read`` takes, one a sample: a path, or a tuple that begins with one.
        read: makes a sample's tensors, without a batch axis, all samples of equal shapes.
    """

    def __init__(self, items: Sequence[Any], read: Callable[[Any], dict[str, Tensor]]):
        if not items:
            raise BadData("there is not one file: check the path, the filter or the split that made this data set")
        self.items = list(items)
        self.read = read

    def __len__(self) -> int:
        return len(self.items)

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        samples = [self._sample(self.items[i]) for i in index.tolist()]
        return Batch({name: torch.stack([sample[name] for sample in samples]) for name in samples[0]})

    def in_memory(self, limit: float | None = None) -> Data:
        """The same samples read once and held, if they take at most ``limit`` bytes (a quarter of the free memory, if
        None); else these files."""
        size = sum(tensor.nbytes for tensor in self._sample(self.items[0]).values()) * len(self)
        if size > (_free_memory() / 4 if limit is None else limit):
            return self
        return Tensors(**self.gather(torch.arange(len(self))).tensors)

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for item in self.items:
            path = _path(item)
            state = os.stat(path) if path else None
            digest.update(f"{item}{state.st_size if state else ''}".encode())
        return digest.hexdigest()[:16]

    def _sample(self, item: Any) -> dict[str, Tensor]:
        try:
            return self.read(item)
        except BadData:
            raise
        except Exception as error:
            raise BadData(f"{_path(item) or item} cannot be read ({type(error).__name__}: {error})") from error


def _path(item: Any) -> str | None:
    first = item[0] if isinstance(item, tuple) else item
    return os.fspath(first) if isinstance(first, str | os.PathLike) and os.path.exists(first) else None


def _free_memory() -> float:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _refuse_not_finite(name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        rows = (~tensor.isfinite()).reshape(len(tensor), -1).any(1).nonzero().flatten().tolist()
        raise BadData(
            f"{name!r} is NaN or infinite in {len(rows)} of {len(tensor)} samples, first in sample {rows[0]}: "
            "drop these samples or fill the gaps"
        )

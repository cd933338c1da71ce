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
    """Samples 0 … len-1, each a row of named tensors.

    Attributes:
        alike: whether all have one shape; where they have not, a batch of several cannot be gathered.
    """

    alike: bool = True

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

    def targets(self) -> Int[Tensor, "n"]:
        """The class number of every sample, without reading any.

        Raises:
            ValueError: samples have none, or it is known only once they are read.
        """
        raise ValueError(f"{type(self).__name__} of {len(self)} samples have no class numbers that could be told")

    def name(self, number: int) -> str:
        """What an error message calls the sample of this number."""
        return f"sample {number}"


class Tensors(Data):
    """Samples in memory, gathered by index on the device they lie on.

    Args:
        tensors: by name, all with one first axis, at least one sample long.

    Raises:
        BadData: there is no sample, the lengths differ, or a number is NaN or infinite.
    """

    def __init__(self, **tensors: Tensor):
        sizes = {name: len(tensor) if tensor.ndim else 0 for name, tensor in tensors.items()}
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

    def targets(self) -> Int[Tensor, "n"]:
        target = self.tensors.get("target")
        if target is None or target.ndim != 1 or target.is_floating_point():
            raise ValueError(f"these samples of {', '.join(self.tensors)} have no class numbers as their target")
        return target

    def to(self, device: torch.device | str) -> Tensors:
        moved = Tensors.__new__(Tensors)  # checked already
        moved.tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return moved

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            # As bytes, because numpy has no bfloat16.
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


class Files(Data):
    """Samples in files, read when they are asked for.

    Args:
        items: what ``read`` takes, one a sample: a path, or a tuple that begins with one.
        read: makes a sample's tensors, without a batch axis, all samples of equal shapes and types.

    Raises:
        BadData: there is no item; later, naming the file: it cannot be read, a number in it is NaN or infinite, or
            its shapes or types are not those of the others.
    """

    def __init__(self, items: Sequence[Any], read: Callable[[Any], dict[str, Tensor]]):
        if not items:
            raise BadData("there is not one file: check the path, the filter or the split that made this data set")
        self.items = list(items)
        self.read = read

    def __len__(self) -> int:
        return len(self.items)

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        numbers = index.tolist()
        first = self._sample(self.items[numbers[0] if numbers else 0])
        rows = {name: tensor.new_empty((len(numbers), *tensor.shape)) for name, tensor in first.items()}
        for row, number in enumerate(numbers):
            sample = self._sample(self.items[number]) if row else first
            if (found := _form(sample)) != (expected := _form(first)):
                raise BadData(
                    f"{self.name(number)} gives {found}, but {self.name(numbers[0])} gives {expected}: "
                    "let read bring all samples to one shape and one type"
                )
            for name, tensor in sample.items():
                rows[name][row] = tensor
        return Batch(rows)

    def targets(self) -> Int[Tensor, "n"]:
        if not all(isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], int) for item in self.items):
            raise ValueError("the classes of these files are not known before they are read: give items (path, class)")
        return torch.tensor([item[1] for item in self.items])

    def in_memory(self, limit: float | None = None) -> Data:
        """The same samples read once and held, if they take at most ``limit`` bytes (a quarter of the free memory, if
        None); else these files."""
        size = sum(tensor.nbytes for tensor in self._sample(self.items[0]).values()) * len(self)
        if size > (free_memory() / 4 if limit is None else limit):
            return self
        return Tensors(**self.gather(torch.arange(len(self))).tensors)

    def fingerprint(self) -> str:
        """Of the items, the files' names below their common folder, and their sizes; their content is not read."""
        paths = [os.path.abspath(path) if (path := _path(item)) else None for item in self.items]
        folders = {os.path.dirname(path) for path in paths if path}
        common = os.path.commonpath(folders) if folders else ""
        digest = hashlib.sha256()
        for item, path in zip(self.items, paths, strict=True):
            if path is None:
                digest.update(f"{item}\n".encode())
            else:
                rest = item[1:] if isinstance(item, tuple) else ()
                digest.update(f"{path[len(common) :]} {os.stat(path).st_size} {rest}\n".encode())
        return digest.hexdigest()[:16]

    def name(self, number: int) -> str:
        item = self.items[number]
        return _path(item) or str(item)

    def _sample(self, item: Any) -> dict[str, Tensor]:
        try:
            sample = self.read(item)
        except BadData:
            raise
        except Exception as error:
            raise BadData(f"{_path(item) or item} cannot be read ({type(error).__name__}: {error})") from error
        for name, tensor in sample.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise BadData(f"{_path(item) or item}: {name!r} is NaN or infinite: mend the file or leave it out")
        return sample


def free_memory() -> float:
    """Bytes that can be had without pushing anything out."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            known = dict(line.split(":", 1) for line in file)
        return float(known["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux: half of what is built in
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def _path(item: Any) -> str | None:
    first = item[0] if isinstance(item, tuple) and item else item
    return os.fspath(first) if isinstance(first, str | os.PathLike) and os.path.exists(first) else None


def _form(sample: dict[str, Tensor]) -> str:
    """Names, types and shapes: a number of another type would be rounded, and not in every batch alike."""
    return ", ".join(f"{name} {str(t.dtype)[6:]} {tuple(t.shape)}" for name, t in sorted(sample.items()))


def _refuse_not_finite(name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        rows = (~tensor.isfinite()).reshape(len(tensor), -1).any(1).nonzero().flatten().tolist()
        raise BadData(
            f"{name!r} is NaN or infinite in {len(rows)} of {len(tensor)} samples, first in sample {rows[0]}: "
            "drop these samples or fill the gaps"
        )

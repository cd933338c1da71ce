"""A loader: data in keyed order, batch by batch, every sample once an epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.batch import Batch
from descend.data.data import Data, Files
from descend.data.errors import BadData
from descend.data.stream import Stream
from descend.functional import keyed

Augment = Callable[[Batch, Int[Tensor, "batch"]], Batch]


class Loader(Stream):
    """The stream over data that training reads from.

    The order of an epoch is a permutation keyed by (seed, epoch), an augmentation is keyed by (seed, epoch, sample).
    The last batch is as large as what is left; one sample alone joins the batch before, because batch norm has no
    statistics of one.

    Args:
        data: the samples.
        batch: samples a global batch, 1 or more.
        shuffle: a new order every epoch; else the data's own.
        augment: ``augment(batch, keys)`` with one 64-bit key a sample.
        workers: processes that read files ahead, in step order; 0 reads when asked. Data in memory needs none.
    """

    prefetch = 2
    """Batches that each worker reads ahead."""

    def __init__(self, data: Data, batch: int, shuffle: bool = True, augment: Augment | None = None, workers: int = 0):
        if batch < 1:
            raise ValueError(f"batch is {batch}: give 1 sample or more")
        self.data = data
        self.size = batch
        self.shuffle = shuffle
        self.augment = augment
        self.workers = workers
        whole, rest = divmod(len(data), batch)
        self.steps_per_epoch = whole if rest == 0 or (rest == 1 and whole and batch > 1) else whole + 1
        self._order: tuple[tuple[int, int], Tensor] | None = None
        self._ahead: tuple[tuple[int, int, int], Iterator[Batch]] | None = None

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        epoch = step // self.steps_per_epoch
        index = self.index(step, rank, ranks)
        reading = self.workers and isinstance(self.data, Files)
        batch = self._read(step, rank, ranks) if reading else self.data.gather(index)
        index = index.to(next(iter(batch.values())).device)
        batch = type(batch)({**batch, "index": index})
        if self.augment is not None:
            batch = self.augment(batch, keyed.hashed(index, self.seed, epoch))
        return batch

    def index(self, step: int, rank: int = 0, ranks: int = 1) -> Int[Tensor, "batch"]:
        """The samples of the step's batch, or the rank's share of them."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self.shuffle:
            key = (self.seed, epoch)
            if self._order is None or self._order[0] != key:
                self._order = (key, keyed.permutation(len(self.data), *key))
            order = self._order[1]
        else:
            order = torch.arange(len(self.data))
        last = place == self.steps_per_epoch - 1
        index = order[place * self.size : None if last else (place + 1) * self.size]
        return index if ranks == 1 else index.tensor_split(ranks)[rank]

    def to(self, device: torch.device) -> Loader:
        self.data = self.data.to(device)
        return self

    def close(self) -> None:
        self._ahead = None

    def _read(self, step: int, rank: int, ranks: int) -> Batch:
        """The step's batch from the workers; they start anew where it is not the next one, and once where one died."""
        for attempt in range(2):
            if self._ahead is None or self._ahead[0] != (step, rank, ranks):
                self._ahead = ((step, rank, ranks), self._start(step, rank, ranks))
            _, batches = self._ahead
            try:
                batch = next(batches)
            except RuntimeError as error:
                self._ahead = None
                if "exited unexpectedly" not in str(error):
                    raise
                if attempt:
                    names = [str(self.data.items[i]) for i in self.index(step, rank, ranks).tolist()]  # type: ignore
                    raise BadData(
                        f"a worker died twice reading the batch of step {step} ({', '.join(names[:4])} …): it may "
                        "be out of memory, or one of these files crashes its decoder"
                    ) from error
                warnings.warn(f"a worker died at step {step}; its work is done again", stacklevel=2)
                continue
            if isinstance(batch, Exception):
                self._ahead = None
                raise batch
            self._ahead = ((step + 1, rank, ranks), batches)
            return batch
        raise AssertionError

    def _start(self, step: int, rank: int, ranks: int) -> Iterator[Any]:
        """torch's own loader as an ordered pool: its "samples" are whole batches, asked for from ``step`` on."""
        from torch.utils.data import DataLoader

        self._order = None  # the workers make their own
        return iter(
            DataLoader(
                _Steps(self, rank, ranks),
                batch_size=None,
                sampler=range(step, step + 10**9),
                num_workers=self.workers,
                prefetch_factor=self.prefetch,
                collate_fn=_same,
            )
        )


class _Steps(torch.utils.data.Dataset):
    def __init__(self, loader: Loader, rank: int, ranks: int):
        self.loader, self.rank, self.ranks = loader, rank, ranks

    def __getitem__(self, step: int) -> Batch | Exception:
        try:
            return self.loader.data.gather(self.loader.index(step, self.rank, self.ranks))
        except BadData as error:  # torch would bury its message in a traceback
            return error


def _same(batch: Any) -> Any:
    return batch

"""A loader: data in keyed order, batch by batch, every sample once an epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.batch import Batch
from descend.data.data import Data, Tensors
from descend.data.errors import BadData
from descend.data.order import Order, Shuffle
from descend.data.stream import Stream
from descend.data.workers import WorkerDied, Workers
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
        shuffle: a new order every epoch, drawn alike from all or by a `Shuffle`, as `Together`; else the data's own.
        augment: ``augment(batch, keys)`` with one 64-bit key a sample.
        workers: processes that read files ahead, in step order; 0 reads when asked. Data in memory needs none.

    Raises:
        BadData: a file cannot be read; or reading one batch killed its worker twice, naming the step and the files.
    """

    def __init__(
        self,
        data: Data,
        batch: int,
        shuffle: bool | Shuffle = True,
        augment: Augment | None = None,
        workers: int = 0,
    ):
        if batch < 1:
            raise ValueError(f"batch is {batch}: give 1 sample or more")
        if workers < 0:
            raise ValueError(f"workers is {workers}: give 0, or how many processes read ahead")
        self.data = data
        self.size = batch
        self.shuffle = shuffle
        self.augment = augment
        self.workers = workers
        self.device: torch.device | None = None
        self._order = Order(len(data), batch, shuffle, self.seed)
        self.steps_per_epoch = self._order.steps_per_epoch
        self._ahead: tuple[tuple[int, int, int], Workers] | None = None

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        index = self.index(step, rank, ranks)
        ahead = self.workers and not isinstance(self.data, Tensors)
        batch = self._read(step, rank, ranks) if ahead else self.data.gather(index)
        found = next(iter(batch.tensors.values())).device
        if self.device is not None and self.device != found:
            batch, found = batch.to(self.device), self.device
        batch = type(batch)({**batch.tensors, "index": index if index.device == found else index.to(found)})
        if self.augment is not None:
            batch = self.augment(batch, keyed.hashed(index, self.seed, step // self.steps_per_epoch))
        return batch

    def index(self, step: int, rank: int = 0, ranks: int = 1) -> Int[Tensor, "batch"]:
        """The samples of the step's batch, or the rank's share of them."""
        if self._order.seed != self.seed:
            self._order = Order(len(self.data), self.size, self.shuffle, self.seed)
        return self._order.index(step, rank, ranks)

    def to(self, device: torch.device) -> Loader:
        """Batches come on this device; data in memory moves there, where it takes at most half of what is free."""
        self.device = device
        size = sum(tensor.nbytes for tensor in self.data.tensors.values()) if isinstance(self.data, Tensors) else 0
        if device.type != "cuda" or size <= torch.cuda.mem_get_info(device)[0] / 2:
            self.data = self.data.to(device)
        return self

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead[1].close()
            self._ahead = None

    def _read(self, step: int, rank: int, ranks: int) -> Batch:
        """The step's batch from the workers; they start anew where it is not the next one, and once where one died."""
        key = (self.seed, rank, ranks)
        for attempt in range(2):
            if self._ahead is None or self._ahead[0] != key or self._ahead[1].step != step:
                self.close()
                self._ahead = (key, Workers(self.data, self._order, step, rank, ranks, self.workers))
            try:
                return self._ahead[1].take()
            except WorkerDied as error:
                self.close()
                if attempt:
                    numbers = self.index(step, rank, ranks).tolist()
                    names = ", ".join(self.data.name(number) for number in numbers[:4])
                    more = f" and {len(numbers) - 4} more" if len(numbers) > 4 else ""
                    raise BadData(
                        f"a worker died twice ({error}) reading the batch of step {step}: {names}{more}; it may be out "
                        "of memory, or one of these crashes its decoder: try fewer workers, or 0 to see where"
                    ) from None
                warnings.warn(f"a worker died ({error}) at step {step}; its work is done again", stacklevel=3)
        raise AssertionError

"""The order of an epoch, and how it is cut into batches and shares."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from descend.functional import keyed


class Order:
    """Which samples make the batch of a step: a permutation keyed by (seed, epoch), cut into batches.

    The last batch of an epoch is as large as what is left; one sample alone joins the batch before.

    Args:
        n: samples in all.
        batch: samples a batch.
        shuffle: a new order every epoch; else 0, 1, 2, …
        seed: of the shuffle.
    """

    def __init__(self, n: int, batch: int, shuffle: bool, seed: int):
        self.n = n
        self.batch = batch
        self.shuffle = shuffle
        self.seed = seed
        whole, rest = divmod(n, batch)
        self.steps_per_epoch = whole if rest == 0 or (rest == 1 and whole) else whole + 1
        self._epoch: tuple[int, Tensor] | None = None

    def index(self, step: int, rank: int = 0, ranks: int = 1) -> Int[Tensor, "batch"]:
        """The samples of the step's batch, or the rank's share of them."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if not 0 <= rank < ranks or step < 0:
            raise ValueError(f"batch(step={step}, rank={rank}, ranks={ranks}): steps and ranks count from 0")
        start = place * self.batch
        end = self.n if place == self.steps_per_epoch - 1 else start + self.batch
        if not self.shuffle:
            index = torch.arange(start, end)
        else:
            if self._epoch is None or self._epoch[0] != epoch:
                self._epoch = (epoch, keyed.permutation(self.n, self.seed, epoch))
            index = self._epoch[1][start:end]
        return index if ranks == 1 else index.tensor_split(ranks)[rank]

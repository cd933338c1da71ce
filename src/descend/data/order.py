"""The order of an epoch, and how it is cut into batches and shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from descend.functional import keyed


class Shuffle(ABC):
    """An order of all samples that depends on keys alone."""

    @abstractmethod
    def __call__(self, *keys: int) -> Int[Tensor, "n"]: ...

    def report(self, seed: int) -> str:
        """What is worth saying about it before the first step; nothing where there is nothing."""
        return ""


@dataclass(frozen=True, eq=False)
class Together(Shuffle):
    """A shuffle in which samples of a class come some at a time, so that a batch holds pairs of one class even where
    classes are many (Schroff et al. 2015, section 3.2).

    >>> Loader(data.train, 64, shuffle=Together(data.train.targets(), each=4))

    Every sample still comes once an epoch; what a class has beyond whole groups comes in a smaller one.

    Args:
        target: the samples' classes.
        each: samples of a class behind one another, 2 or more.
    """

    target: Int[Tensor, "n"]
    each: int = 4

    def __post_init__(self) -> None:
        if self.each < 2:
            raise ValueError(f"Together: each is {self.each}; give 2 or more samples of a class, or shuffle=True")

    def __call__(self, *keys: int) -> Int[Tensor, "n"]:
        order = keyed.permutation(len(self.target), *keys)
        order = order[self.target[order].argsort(stable=True)]  # class by class, each in an order of its own
        counts = self.target[order].unique_consecutive(return_counts=True)[1]
        place = torch.arange(len(order)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        group = (place % self.each == 0).cumsum(0) - 1
        turn = keyed.permutation(int(group[-1]) + 1, *keys, self.each)
        return order[turn[group].argsort(stable=True)]


@dataclass(frozen=True, eq=False)
class ByLength(Shuffle):
    """A shuffle in which samples of about one length meet in a batch, so that little is padded: the samples are
    shuffled, those of ``pool`` batches at a time sorted by length and cut into batches, and these shuffled again.

    >>> Loader(data.train, 64, shuffle=ByLength(data.train.lengths, 64))

    Args:
        lengths: of the samples.
        batch: samples of a batch, as the loader's.
        pool: batches that are sorted together; 1 sorts nothing that matters.
    """

    lengths: Int[Tensor, "n"]
    batch: int
    pool: int = 50

    def __call__(self, *keys: int) -> Int[Tensor, "n"]:
        batches: list[Tensor] = []
        for part in keyed.permutation(len(self.lengths), *keys).split(self.batch * self.pool):
            batches += part[self.lengths[part].argsort(stable=True)].split(self.batch)
        # A batch that is not full stays the last, where the loader expects it.
        whole = [batch for batch in batches if len(batch) == self.batch]
        rest = [batch for batch in batches if len(batch) < self.batch]
        turn = keyed.permutation(len(whole), *keys, self.pool).tolist()
        return torch.cat([*(whole[place] for place in turn), *rest])

    def report(self, seed: int) -> str:
        return f"{self.padding(seed):.1%} of the places in a batch are padding"

    def padding(self, seed: int = 0, epoch: int = 0) -> float:
        """Share of a padded epoch's places that hold nothing, 0 … 1."""
        places = sum(len(part) * int(part.max()) for part in self.lengths[self(seed, epoch)].split(self.batch))
        return 1 - float(self.lengths.sum()) / places


@dataclass(frozen=True, eq=False)
class Following(Shuffle):
    """No shuffle: the data are cut into as many rows as a batch has samples, and read along all of them at once, so
    that each sample of a batch follows the one at its place in the batch before, as states that are carried want.

    >>> Loader(data.train, 32, shuffle=Following(len(data.train), 32))

    Args:
        count: samples in all; what is over comes last.
        batch: samples of a batch, as the loader's.
    """

    count: int
    batch: int

    def __call__(self, *keys: int) -> Int[Tensor, "n"]:
        whole = self.count - self.count % self.batch
        rows = torch.arange(whole).view(self.batch, -1)
        return torch.cat([rows.T.flatten(), torch.arange(whole, self.count)])


@dataclass(frozen=True, eq=False)
class Apart(Shuffle):
    """A shuffle of a text's stretches in which those that overlap come far from each other: first all that begin a
    length apart, in an order of their own, then all that begin elsewhere, and so on. Every token so is learned from
    once before any is twice, where of stretches drawn alike from all, a fifth of the tokens still waits then.

    >>> Loader(windows, 32, shuffle=Apart(len(windows), windows.length))

    Args:
        count: stretches in all, one for each token that one may begin at.
        length: of a stretch, in tokens.
    """

    count: int
    length: int

    def __call__(self, *keys: int) -> Int[Tensor, "n"]:
        offsets = keyed.permutation(min(self.length, self.count), *keys).tolist()
        counts = [-(-(self.count - offset) // self.length) for offset in offsets]
        turns = [keyed.permutation(count, *keys, offset) for count, offset in zip(counts, offsets, strict=True)]
        return torch.cat([offset + self.length * turn for offset, turn in zip(offsets, turns, strict=True)])


class Order:
    """Which samples make the batch of a step: a permutation keyed by (seed, epoch), cut into batches.

    The last batch of an epoch is as large as what is left; one sample alone joins the batch before.

    Args:
        n: samples in all.
        batch: samples a batch.
        shuffle: a new order every epoch, drawn alike from all or by a `Shuffle`; else 0, 1, 2, …
        seed: of the shuffle.
    """

    def __init__(self, n: int, batch: int, shuffle: bool | Shuffle, seed: int):
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
                keys = (self.seed, epoch)
                drawn = keyed.permutation(self.n, *keys) if self.shuffle is True else self.shuffle(*keys)
                self._epoch = (epoch, drawn)
            index = self._epoch[1][start:end]
        return index if ranks == 1 else index.tensor_split(ranks)[rank]

"""The adding problem (Hochreiter and Schmidhuber 1997, section 5.4): two numbers of a long row are marked, far from
each other; their sum is asked at the end. Who always answers 1 has a mean squared error of 1/6."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.batch import Batch
from descend.data.codecs.sequence import SequenceCodec
from descend.data.data import Data
from descend.data.splits import Splits
from descend.functional import keyed


class Adding(Data):
    """Row number i depends on (key, i) alone: ``x`` [length, 2], numbers of 0 … 1 and marks, and ``target`` [1]. One
    mark stands in the first half, one in the second.

    Args:
        count: rows.
        length: steps of a row, 2 or more.
        key: of all rows.
    """

    def __init__(self, count: int, length: int, key: int = 0):
        if length < 2:
            raise ValueError(f"Adding: {length} steps hold no two marks; give 2 or more")
        self.count = count
        self.length = length
        self.key = key

    def __len__(self) -> int:
        return self.count

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        keys = keyed.hashed(index, self.key)
        places = torch.arange(self.length, device=index.device)
        numbers = keyed.uniform((keys[:, None] + places).flatten(), 0).view(len(index), self.length)
        half = self.length // 2
        first = (keyed.uniform(keys, 1) * half).long()
        second = half + (keyed.uniform(keys, 2) * (self.length - half)).long()
        marks = ((places == first[:, None]) | (places == second[:, None])).to(numbers.dtype)
        return Batch(x=torch.stack([numbers, marks], 2), target=(numbers * marks).sum(1, keepdim=True))

    def fingerprint(self) -> str:
        return hashlib.sha256(f"adding {self.count} {self.length} {self.key}".encode()).hexdigest()[:16]


def adding(length: int = 200, train: int = 100_000, key: int = 0) -> Splits:
    """Fresh rows in every part; 1,000 for validation and 10,000 for test."""
    parts = [Adding(count, length, keyed.mix(key, part)) for part, count in enumerate((train, 1000, 10_000))]
    return Splits(parts[0], parts[1], parts[2], SequenceCodec(2), "adding")

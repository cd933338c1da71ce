"""Streams: batches that can be asked for by number.

``stream.batch(step)`` depends on (seed, step) alone, so a run can be killed, resumed, spread over workers and ranks,
and any batch of any run looked at again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from descend.data.batch import Batch


class Stream(ABC):
    """Answers ``batch(step)``. A stream that truly remembers (a replay buffer) saves it in ``state_dict``.

    Attributes:
        seed: keys all that the stream draws; the engine sets it to the run's seed before the first batch.
        steps_per_epoch: how many batches pass over all data once; 1 where there is no such thing.
    """

    seed: int = 0
    steps_per_epoch: int = 1

    @abstractmethod
    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The global batch of this step, or the share of it that ``rank`` of ``ranks`` takes."""

    def observe(self, batch: Batch, outputs: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Told after each step what the task returned for the batch (priorities); most streams do not care."""

    def to(self, device: torch.device) -> Stream:
        """Keep on this device whatever fits there."""
        return self

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            raise ValueError(f"{type(self).__name__} remembers nothing, but the checkpoint holds {', '.join(state)}")

    def close(self) -> None:  # noqa: B027
        """Let go of workers, files and environments."""


class Zip(Stream):
    """Several streams side by side: the batch holds one batch a name. An epoch is the first stream's.

    >>> Zip(train=Loader(…), valid=Loader(…)).batch(0)["valid"]["x"]
    """

    def __init__(self, **streams: Stream):
        self.streams = streams

    @property
    def steps_per_epoch(self) -> int:  # type: ignore[override]
        return next(iter(self.streams.values())).steps_per_epoch

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        for number, stream in enumerate(self.streams.values()):
            stream.seed = self.seed + number
        return Batch({name: stream.batch(step, rank, ranks) for name, stream in self.streams.items()})  # type: ignore

    def observe(self, batch: Batch, outputs: Mapping[str, Tensor]) -> None:
        for name, stream in self.streams.items():
            stream.observe(batch[name], outputs)  # type: ignore[arg-type]

    def to(self, device: torch.device) -> Zip:
        self.streams = {name: stream.to(device) for name, stream in self.streams.items()}
        return self

    def state_dict(self) -> dict[str, Any]:
        return {name: stream.state_dict() for name, stream in self.streams.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, stream in self.streams.items():
            stream.load_state_dict(state[name])

    def close(self) -> None:
        for stream in self.streams.values():
            stream.close()

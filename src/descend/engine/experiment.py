"""An experiment: what is trained, on what, for how long. A recipe returns one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from descend.data import Codec, Data, Loader, Shuffle, Splits, Stream
from descend.engine.errors import UsageError
from descend.engine.observers import Observer
from descend.engine.task import Task

if TYPE_CHECKING:
    from descend.engine.recipe import Provenance


@dataclass
class Experiment:
    """A task, its data, and how far to go.

    >>> Experiment(task=Classify(MLP(64, 128, out=10), AdamW(1e-3)), data=digits(), batch=128, epochs=20)

    Args:
        task: what learns.
        data: splits (trained on ``train``, watched on ``valid``, scored once on ``test``), or a stream.
        codec: what a raw example goes through; the splits' own if None.
        batch: samples an update, of the whole global batch; of splits only.
        epochs: passes over the training split, 0 for a task that stays as it begins. Give these or ``steps``.
        steps: updates.
        augment: ``augment(batch, keys)``, applied to training batches only.
        shuffle: as `Loader` takes it.
        workers: processes that read files ahead; of data that does not fit in memory only.
        every: steps between evaluations; an epoch if None.
        observers: beside the run's own (journal, best model, screen).
        provenance: which recipe made it, set by `recipe`.
        seed: keys everything drawn, set by `recipe`.
    """

    task: Task
    data: Splits | Stream
    codec: Codec | None = None
    batch: int = 128
    epochs: float | None = None
    steps: int | None = None
    augment: Callable | None = None
    shuffle: bool | Shuffle = True
    workers: int = 0
    every: int | None = None
    observers: Sequence[Observer] = ()
    provenance: Provenance | None = field(default=None, repr=False)
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise UsageError(f"give epochs or steps, one of them; got epochs={self.epochs}, steps={self.steps}")
        if not (self.epochs or self.steps or 0) >= 0:
            raise UsageError(f"epochs={self.epochs}, steps={self.steps}: give 0 or more")
        if isinstance(self.data, Splits) and self.codec is None:
            self.codec = self.data.codec

    def stream(self) -> Stream:
        """What training reads from."""
        if isinstance(self.data, Stream):
            return self.data
        return Loader(self.data.train, self.batch, self.shuffle, self.augment, self.workers)

    @property
    def valid(self) -> Data | None:
        return self.data.valid if isinstance(self.data, Splits) else None

    @property
    def test(self) -> Data | None:
        return self.data.test if isinstance(self.data, Splits) else None

    def length(self, stream: Stream) -> int:
        """Updates in all."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, round(self.epochs * stream.steps_per_epoch)) if self.epochs else 0

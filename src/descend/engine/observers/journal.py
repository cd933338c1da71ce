"""Numbers written down: metrics.jsonl, TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from descend.engine.observers.observer import Moment, Observer
from descend.engine.run import Run
from descend.engine.task import Task


def line_of(moment: Moment) -> dict[str, float] | None:
    """All that was measured at this moment, by name; None where it is neither a log point nor an evaluation."""
    if moment.logged is None and moment.evaluation is None:
        return None
    valid = moment.evaluation.scores if moment.evaluation else {}
    return {
        "step": moment.step,
        "epoch": round(moment.epoch, 4),
        "seconds": round(moment.seconds, 3),
        **(moment.logged or {}),
        **{f"valid/{name}": value for name, value in valid.items()},
    }


class Journal(Observer):
    """One line of metrics.jsonl a log point: step, epoch, seconds, samples_per_s, lr, train/…, valid/…"""

    def after(self, moment: Moment) -> None:
        line = line_of(moment)
        if line is not None and moment.run is not None:
            moment.run.log(line)


class TensorBoard(Observer):
    """The same numbers as event files for TensorBoard (``pip install descend[tensorboard]``).

    Args:
        folder: where the event files go; the run's ``tensorboard/`` if None.
    """

    def __init__(self, folder: str | None = None):
        self.folder = folder
        self._writer: Any = None

    def start(self, task: Task, run: Run | None, step: int, steps: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ImportError("TensorBoard is not installed: pip install 'descend[tensorboard]'") from None
        folder = Path(self.folder) if self.folder else (run.folder if run else Path("runs")) / "tensorboard"
        # purge_step hides what an interrupted run wrote past its checkpoint.
        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def after(self, moment: Moment) -> None:
        for name, value in (line_of(moment) or {}).items():
            if name not in ("step", "seconds"):
                self._writer.add_scalar(name, value, moment.step)

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()

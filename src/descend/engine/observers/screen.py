"""Progress for a person: a live bar on a terminal, plain lines where the output is piped."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any, TextIO

import torch

from descend.engine.observers.journal import line_of
from descend.engine.observers.observer import Moment, Observer
from descend.engine.run import Run
from descend.engine.task import Task


def screen(file: TextIO | None = None) -> Observer:
    """`Progress` on a terminal, `Lines` anywhere else; on standard error, so that results can be piped."""
    shown: TextIO = file or sys.stderr
    return Progress(shown) if shown.isatty() else Lines(shown)


class Lines(Observer):
    """A plain line at every evaluation, and between them at most one each ``every`` seconds."""

    def __init__(self, file: TextIO | None = None, every: float = 10.0):
        self.file = file or sys.stderr
        self.every = every
        self._last = 0.0

    def start(self, task: Task, run: Run | None, step: int, steps: int) -> None:
        self._last = time.perf_counter()
        if step:
            self.say(f"resumed after step {step:,} of {steps:,}")

    def after(self, moment: Moment) -> None:
        line = line_of(moment)
        now = time.perf_counter()
        if line is None or (moment.evaluation is None and now - self._last < self.every):
            return
        self._last = now
        self.say(f"step {moment.step:,}/{moment.steps:,}  " + "  ".join(_shown(line)))

    def say(self, line: str) -> None:
        print(line, file=self.file, flush=True)


class Progress(Observer):
    """A live line (share done, loss, rate, memory, time left); evaluations stay above it."""

    def __init__(self, file: TextIO | None = None):
        self.file = file or sys.stderr
        self._bar: Any = None
        self._job: Any = None

    def start(self, task: Task, run: Run | None, step: int, steps: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(24), MofNCompleteColumn(), TextColumn("{task.fields[now]}"), TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(file=self.file), transient=True)
        self._job = self._bar.add_task("train", total=steps, completed=step, now="")
        self._bar.start()
        if step:
            self.say(f"resumed after step {step:,} of {steps:,}")

    def after(self, moment: Moment) -> None:
        line = line_of(moment)
        if line is None:
            return
        if moment.logged:
            now = "  ".join([*_shown(moment.logged), f"{memory_mib():,.0f} MiB"])
            self._bar.update(self._job, completed=moment.step, now=now)
        if moment.evaluation is not None:
            self.say(f"epoch {moment.epoch:.4g}  " + "  ".join(_shown(line)))

    def say(self, line: str) -> None:
        if self._bar is None:
            print(line, file=self.file)
        else:
            self._bar.console.print(line, highlight=False, markup=False)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def memory_mib() -> float:
    """The most memory held so far: on the GPU where one is used, else by this process. MiB."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _shown(line: dict[str, float]) -> list[str]:
    hidden = ("step", "epoch", "seconds")
    return [
        f"{name} {value:,.0f}" if name == "samples_per_s" else f"{name} {value:.4g}"
        for name, value in line.items()
        if name not in hidden
    ]

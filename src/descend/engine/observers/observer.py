"""Observers watch a run from one point, after each step. They never steer, except by raising `Stop`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from descend.data import Data
from descend.engine.evaluate import Evaluation
from descend.engine.run import Run
from descend.engine.task import Task


@dataclass
class Moment:
    """The instant after a step.

    Attributes:
        step: how many steps are done, 1 … steps.
        metrics: what the step returned, on the device; reading one waits for it.
        logged: at a log point, the means since the last one and the rates, as numbers; else None.
        evaluation: where the validation split was just scored, what was found; else None.
        epoch: passes over the data so far, with its fraction.
        seconds: since this process began to train.
        valid: the validation split, if there is one.
    """

    task: Task
    run: Run | None
    step: int
    steps: int
    epoch: float
    seconds: float
    metrics: Mapping[str, Tensor]
    logged: dict[str, float] | None = None
    evaluation: Evaluation | None = None
    valid: Data | None = None


class Observer:
    """Base of what watches. What it must remember over a kill it gives in `state_dict`."""

    def start(self, task: Task, run: Run | None, step: int, steps: int) -> None:
        """Before the first step of this process; ``step`` steps are done already."""

    def after(self, moment: Moment) -> None:
        """After every step."""

    def say(self, line: str) -> None:
        """The engine has something to tell the person at the screen."""

    def finish(self) -> None:
        """After the last step of this process, whatever ended it."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            raise ValueError(f"{type(self).__name__} remembers nothing, but the checkpoint holds {', '.join(state)}")

"""Keeping the best model, stopping early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from descend.data import Codec
from descend.engine.errors import Stop
from descend.engine.observers.observer import Moment, Observer
from descend.engine.predictor import Predictor


class Best(Observer):
    """Saves the predictor into the run's ``model/`` whenever the watched validation score is as good as ever before.

    Of equal scores the latest counts: few validation samples are soon all right, at a rate that has not yet fallen.

    Attributes:
        step: after how many steps the best was found; 0 before there is one.
        value: its score.
    """

    def __init__(self, codec: Codec | None = None):
        self.codec = codec
        self.step = 0
        self.value: float | None = None

    def after(self, moment: Moment) -> None:
        if moment.evaluation is None or moment.run is None:
            return
        goal = moment.task.goal
        value = moment.evaluation.scores[goal.metric]
        if goal.better(value, goal.worst) and (self.value is None or not goal.better(self.value, value)):
            self.step, self.value = moment.step, value
            with moment.task.averaged():
                Predictor(moment.task, self.codec).save(moment.run.folder / "model", scores=moment.evaluation.scores)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step, self.value = state["step"], state["value"]


class EarlyStopping(Observer):
    """Ends the run when the watched score has not improved by more than ``least`` for ``patience`` evaluations
    (Prechelt 1998, "Early stopping — but when?").

    Args:
        patience: evaluations without a better score, 1 or more.
        least: what counts as better, in the score's own unit.
    """

    def __init__(self, patience: int = 5, least: float = 0.0):
        if patience < 1:
            raise ValueError(f"patience is {patience}: give 1 or more evaluations")
        self.patience = patience
        self.least = least
        self.best: float | None = None
        self.waited = 0

    def after(self, moment: Moment) -> None:
        if moment.evaluation is None:
            return
        goal = moment.task.goal
        cost = goal.cost(moment.evaluation.scores[goal.metric])
        if self.best is None or cost < self.best - self.least:
            self.best, self.waited = cost, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            raise Stop(f"{goal.metric} has not improved for {self.waited} evaluations")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self.waited = state["best"], state["waited"]

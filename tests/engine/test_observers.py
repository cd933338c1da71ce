"""What watches a run: the live bar, the journal, TensorBoard."""

import io
import json
import math

import pytest

from descend.data import Loader
from descend.engine import (
    Best,
    EarlyStopping,
    Journal,
    Max,
    Min,
    Progress,
    Run,
    TensorBoard,
    evaluate,
    fit,
    screen,
    weights,
)
from descend.engine.evaluate import Evaluation
from descend.engine.observers import Lines
from descend.engine.observers.observer import Moment
from descend.models import MLP
from descend.optim import EMA, SGD
from tests.engine.pages import Line, points


def _task():
    return Line(MLP(6, 16, out=2), SGD(0.05, average=EMA(0.9)))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_shows_loss_rate_memory_and_time_left():
    shown = Terminal()
    fit(_task(), Loader(points(), 16), steps=20, valid=points(30), observers=[Progress(shown)])
    text = shown.getvalue()
    for part in ("train/loss", "samples_per_s", "lr", "MiB", "20/20", "valid/loss"):
        assert part in text, part


def test_the_screen_is_a_bar_on_a_terminal_and_lines_elsewhere():
    assert isinstance(screen(Terminal()), Progress)
    assert isinstance(screen(io.StringIO()), Lines)


def test_the_journal_holds_every_evaluation(tmp_path):
    with Run.create(tmp_path / "run", {}) as run:
        fit(_task(), Loader(points(), 16), steps=14, valid=points(30), observers=[Journal()], run=run)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    scored = [line for line in lines if "valid/loss" in line]
    assert [line["step"] for line in scored] == [7, 14]
    assert all({"epoch", "seconds", "samples_per_s", "lr", "train/loss"} <= set(line) for line in scored)


def test_the_best_model_is_kept_with_its_averaged_weights(tmp_path):
    task, best = _task(), Best()
    with Run.create(tmp_path / "run", {}) as run:
        fit(task, Loader(points(), 16), steps=70, valid=points(30), observers=[best], run=run)
    kept = _task()
    kept.load_state_dict(weights(tmp_path / "run" / "model"))
    assert evaluate(kept, points(30)).scores["loss"] == pytest.approx(best.value)
    assert any(not tensor.equal(kept.state_dict()[name]) for name, tensor in task.state_dict().items())


@pytest.mark.parametrize(
    ("goal", "scores", "kept"),
    [
        (Max("x"), [0.5, 0.9, 0.9, 0.8], 3),
        (Max("x"), [0.0, 0.0], 2),
        (Max("x"), [math.nan, 0.2, math.nan], 2),
        (Min("x"), [0.3, 0.1, 0.1, 0.2], 3),
    ],
)
def test_of_equal_scores_the_latest_is_kept(goal, scores, kept, tmp_path):
    best, task = Best(), _task()
    task.goal = goal
    with Run.create(tmp_path / "run", {}) as run:
        for step, score in enumerate(scores, 1):
            best.after(Moment(task, run, step, 9, 1.0, 1.0, {}, evaluation=Evaluation({"x": score})))
    assert best.step == kept
    assert f"{best.value:.4g}" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_tensorboard_gets_the_same_numbers(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fit(_task(), Loader(points(), 16), steps=14, valid=points(30), observers=[TensorBoard(str(tmp_path / "tb"))])
    events = event_accumulator.EventAccumulator(str(tmp_path / "tb"))
    events.Reload()
    assert {"train/loss", "valid/loss", "lr"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("valid/loss")] == [7, 14]


def test_patience_is_at_least_one():
    with pytest.raises(ValueError, match="1 or more"):
        EarlyStopping(patience=0)

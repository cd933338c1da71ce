"""Each finding is told on a run that has it and not on one that has it not."""

import math

import pytest

from descend.insight.diagnosis import confused, diagnose, interval, series
from tests.insight.runs import description, lines, scores


def told(log, reached=None, **run) -> str:
    return "\n".join(diagnose(log, scores() if reached is None else reached, description(**run)))


def test_a_good_run():
    assert told(lines()).startswith("Nothing stands out")


def test_overfitting_names_where_it_began():
    log = [
        line | ({"valid/loss": line["valid/loss"] + line["step"] / 900} if "valid/loss" in line else {})
        for line in lines()
    ]
    assert "Overfitting since step 132 of 240" in told(log)


def test_overfitting_is_not_told_where_the_training_loss_rises_too():
    log = [
        line
        | {"train/loss": 1 + line["step"] / 900}
        | ({"valid/loss": 1 + line["step"] / 900} if "valid/loss" in line else {})
        for line in lines()
    ]
    assert "Overfitting" not in told(log)


def test_still_improving():
    log = [line | ({"valid/accuracy": line["step"] / 400} if "valid/accuracy" in line else {}) for line in lines()]
    assert "Still improving at the end: the last quarter brought" in told(log)


def test_still_improving_of_a_goal_that_falls():
    reached = scores() | {"goal": {"metric": "rmse", "mode": "min"}}
    log = [line | ({"valid/rmse": 3 - line["step"] / 400} if "valid/loss" in line else {}) for line in lines()]
    assert "Still improving" in told(log, reached)
    log = [line | ({"valid/rmse": 3 + line["step"] / 400} if "valid/loss" in line else {}) for line in lines()]
    assert "Still improving" not in told(log, reached)


def test_underfitting():
    assert "Underfitting" in told([line | {"train/loss": 2.3 - line["step"] / 5000} for line in lines()])


def test_diverging():
    assert "Diverging: the training loss rose from" in told(
        [line | {"train/loss": math.exp(line["step"] / 50)} for line in lines()]
    )


def test_unfinished():
    assert "Unfinished: the log ends at step 20 of 240" in told(lines()[:10], {})


def test_waiting_for_data():
    assert "Waiting for data took 60%" in told(
        lines(), scores() | {"seconds": {"total": 10, "data": 6.0, "forward": 1.0, "backward": 3.0}}
    )


def test_stopped_early():
    assert "Ended early: accuracy has not improved" in told(
        lines(), scores() | {"stopped": "accuracy has not improved"}
    )


def test_interval_is_wilsons():
    # Wilson's interval for 8 of 10, from Brown, Cai, DasGupta 2001.
    assert interval(0.8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert interval(1.0, 10)[1] == 1.0


def test_confused_is_sorted_and_leaves_out_hits():
    assert confused([[5, 1, 0], [3, 9, 0], [0, 0, 7]], ["a", "b", "c"]) == [("b", "a", 3), ("a", "b", 1)]


def test_series_takes_numbers_only():
    assert series([{"step": 1, "a": 2}, {"step": 2}, {"step": 3, "a": None}, {"a": 4}], "a") == [(1, 2.0)]

"""What a run's curves say, in words: diverged, unfinished, still improving, overfitting, learning little.

The rules are those a practitioner reads curves by (Goodfellow, Bengio, Courville 2016, chapter 11), each with its
numbers, so that a reader can disagree with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]


def diagnose(lines: Sequence[Line], scores: Mapping[str, Any], run: Mapping[str, Any], ended: str = "") -> list[str]:
    """Findings, the gravest first; each says what was seen and what to try.

    Args:
        lines: of metrics.jsonl.
        scores: of scores.json, empty where the run has not ended.
        run: of run.json.
        ended: what cut the run short, in words.
    """
    found = [ended] if ended else []
    found += filter(
        None,
        (
            _not_finite(lines),
            "" if ended else _unfinished(lines, scores, run),
            _learnt_little(lines),
            _overfitting(lines),
            _still_improving(lines, scores),
            _stopped(scores),
            _waiting_for_data(scores),
        ),
    )
    if not lines:
        found.append("No log point was reached, so there is nothing to judge.")
    return found or ["Nothing stands out: the loss fell, the validation score followed it and levelled off."]


def series(lines: Sequence[Line], name: str) -> list[tuple[float, float]]:
    """(step, value) of all log points at which ``name`` was measured."""
    return [
        (line["step"], float(line[name]))
        for line in lines
        if "step" in line and isinstance(line.get(name), int | float)
    ]


def interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n independent samples (Wilson 1927)."""
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def confused(matrix: Sequence[Sequence[float]], names: Sequence[str], most: int = 3) -> list[tuple[str, str, float]]:
    """The most frequent mistakes as (truth, answer, count)."""
    mistakes = [
        (names[i], names[j], count) for i, row in enumerate(matrix) for j, count in enumerate(row) if i != j and count
    ]
    return sorted(mistakes, key=lambda mistake: -mistake[2])[:most]


def _not_finite(lines: Sequence[Line]) -> str:
    for step, value in series(lines, "train/loss"):
        if not math.isfinite(value):
            return (
                f"Diverged: the training loss was {value} at step {step:,}. Lower the learning rate, clip the "
                "gradients, or look for bad values in the data."
            )
    loss = [value for _, value in series(lines, "train/loss")]
    if len(loss) >= 4 and loss[-1] > 3 * loss[0] > 0:
        return (
            f"Diverging: the training loss rose from {loss[0]:.3g} to {loss[-1]:.3g}. "
            "Lower the learning rate or clip the gradients."
        )
    return ""


def _unfinished(lines: Sequence[Line], scores: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    if scores:
        return ""
    step, steps = (lines[-1].get("step", 0) if lines else 0), run.get("steps")
    of = f" of {steps:,}" if steps else ""
    return f"Unfinished: the log ends at step {step:,}{of}. `descend resume` goes on from the newest checkpoint."


def _learnt_little(lines: Sequence[Line]) -> str:
    loss = [value for _, value in series(lines, "train/loss") if math.isfinite(value)]
    if len(loss) >= 5 and loss[0] > 0 and 0.9 * loss[0] < _mean(loss[-3:]) <= 3 * loss[0]:
        return (
            f"Underfitting: the training loss hardly fell ({loss[0]:.3g} to {_mean(loss[-3:]):.3g}). "
            "Try another learning rate, a larger network, or check that the targets belong to the inputs."
        )
    return ""


def _overfitting(lines: Sequence[Line]) -> str:
    valid = [(s, v) for s, v in series(lines, "valid/loss") if math.isfinite(v)]
    train = [(s, v) for s, v in series(lines, "train/loss") if math.isfinite(v)]
    if len(valid) < 4 or len(train) < 4:
        return ""
    best_step, best = min(valid, key=lambda point: point[1])
    last_step, last = valid[-1]
    before = [v for s, v in train if s <= best_step]
    if last > 1.1 * best > 0 and before and train[-1][1] < before[-1]:
        return (
            f"Overfitting since step {best_step:,} of {last_step:,}: the validation loss rose from {best:.3g} to "
            f"{last:.3g} while the training loss went on falling. The kept model is that of the best validation "
            "score. Try weight decay, dropout, augmentation, more data, or fewer epochs."
        )
    return ""


def _still_improving(lines: Sequence[Line], scores: Mapping[str, Any]) -> str:
    goal = scores.get("goal") or {}
    points = [(s, v) for s, v in series(lines, f"valid/{goal.get('metric')}") if math.isfinite(v)]
    if len(points) < 8:
        return ""
    values = [value if goal.get("mode") == "max" else -value for _, value in points]
    quarter = len(values) // 4
    gain, whole = _mean(values[-quarter:]) - _mean(values[-2 * quarter : -quarter]), max(values) - min(values)
    if whole > 0 and gain > 0.03 * whole and max(values[-quarter:]) == max(values):
        return (
            f"Still improving at the end: the last quarter brought {gain / whole:.0%} of all that "
            f"{goal['metric']} gained. Train longer."
        )
    return ""


def _stopped(scores: Mapping[str, Any]) -> str:
    return f"Ended early: {scores['stopped']}." if scores.get("stopped") else ""


def _waiting_for_data(scores: Mapping[str, Any]) -> str:
    seconds = scores.get("seconds") or {}
    data = seconds.get("data", 0.0)
    step = sum(seconds.get(name, 0.0) for name in ("forward", "backward", "optimizer", "engine"))
    if data > 1 and data > 0.3 * (data + step):
        return (
            f"Waiting for data took {data / (data + step):.0%} of the training time. "
            "Use workers, or data that is held in memory."
        )
    return ""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

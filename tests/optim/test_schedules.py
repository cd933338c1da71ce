"""Schedules against torch's own, which count steps where ours are functions of progress."""

import math

import pytest
import torch
from torch.optim import lr_scheduler as theirs

from descend.optim import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    Milestones,
    OneCycle,
    ReduceOnPlateau,
    Step,
    WarmUp,
    WarmupStableDecay,
)

STEPS = 40


def rates(make, steps=STEPS):
    """The rate of every step, relative to 1, as torch's scheduler sets it."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("ours", "make"),
    [
        (Constant(), lambda o: theirs.ConstantLR(o, factor=1.0)),
        (Step(every=0.25, factor=0.3), lambda o: theirs.StepLR(o, STEPS // 4, 0.3)),
        (Step(every=0.1, factor=0.5), lambda o: theirs.StepLR(o, STEPS // 10, 0.5)),
        (Milestones(at=(0.3, 0.7), factor=0.2), lambda o: theirs.MultiStepLR(o, [12, 28], 0.2)),
        (Exponential(final=0.02), lambda o: theirs.ExponentialLR(o, 0.02 ** (1 / STEPS))),
        (Cosine(floor=0.1), lambda o: theirs.CosineAnnealingLR(o, STEPS, eta_min=0.1)),
        (Linear(floor=0.2), lambda o: theirs.LinearLR(o, 1.0, 0.2, STEPS)),
        (
            WarmUp(0.25, Cosine(), start=0.01),
            lambda o: theirs.SequentialLR(
                o, [theirs.LinearLR(o, 0.01, 1.0, 10), theirs.CosineAnnealingLR(o, 30)], milestones=[10]
            ),
        ),
        (
            WarmupStableDecay(warmup=0.25, decay=0.5, start=0.1, floor=0.05),
            lambda o: theirs.SequentialLR(
                o,
                [theirs.LinearLR(o, 0.1, 1.0, 10), theirs.ConstantLR(o, 1.0), theirs.LinearLR(o, 1.0, 0.05, 20)],
                milestones=[10, 20],
            ),
        ),
    ],
    ids=lambda value: (
        type(value).__name__ if not callable(value) or hasattr(value, "__dataclass_fields__") else "torch"
    ),
)
def test_equals_torch_at_every_step(ours, make):
    assert [ours(step / STEPS) for step in range(STEPS)] == pytest.approx(rates(make), rel=1e-6, abs=1e-9)


def test_one_cycle_equals_torch_between_its_turning_points():
    """torch turns at step 0.3 · T - 1 and ends at T - 1; ours turns at 0.3 and ends at 1."""
    top, last = 0.3 * STEPS - 1, STEPS - 1
    progress = [0.3 * step / top if step <= top else 0.3 + 0.7 * (step - top) / (last - top) for step in range(STEPS)]
    expected = rates(lambda o: theirs.OneCycleLR(o, 1.0, total_steps=STEPS, cycle_momentum=False), STEPS - 1)
    ours = OneCycle(peak=0.3, start=1 / 25, final=1 / 250_000)
    assert [ours(min(p, 1.0)) for p in progress[:-1]] == pytest.approx(expected, rel=1e-6)
    assert ours(1.0) == pytest.approx(1 / 250_000)


@pytest.mark.parametrize("cooldown", [0, 2])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_plateau_equals_torch_for_any_history(cooldown, sign):
    generator = torch.Generator().manual_seed(3)
    scores = (sign * (1 + torch.randn(60, generator=generator).cumsum(0) / 30)).tolist()
    scores[17] = math.nan
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = theirs.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=2, threshold=0.01, threshold_mode="abs", cooldown=cooldown, min_lr=0.1, eps=0.0
    )
    ours = ReduceOnPlateau(factor=0.5, patience=2, threshold=0.01, cooldown=cooldown, floor=0.1)
    assert ours(0.5) == 1.0
    reduced = set()
    for seen, score in enumerate(scores, start=1):
        scheduler.step(score)
        reduced.add(optimizer.param_groups[0]["lr"])
        assert ours(0.0, scores[:seen]) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert len(reduced) > 3, "the history must reduce the rate several times, or nothing was compared"


def test_warm_up_hands_the_scores_on():
    plateau = ReduceOnPlateau(factor=0.5, patience=0)
    assert WarmUp(0.1, plateau)(0.5, [1.0, 1.0]) == 0.5
    assert WarmUp(0.1, plateau, start=0.0)(0.05, [1.0, 1.0]) == pytest.approx(0.25)


@pytest.mark.parametrize("schedule", [WarmupStableDecay(warmup=0.0, decay=0.0), WarmupStableDecay(0.5, 0.5)])
def test_warmup_stable_decay_bears_empty_phases(schedule):
    assert all(0 <= schedule(step / 20) <= 1 for step in range(21))
    assert schedule(0.5) == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Step(every=0.0), r"Step: every must be in \(0, 1\], got 0"),
        (lambda: Step(factor=1.5), r"factor must be in \(0, 1\]"),
        (lambda: Milestones(at=(0.7, 0.3)), r"must increase.*write \(0\.3, 0\.7\)"),
        (lambda: Milestones(at=(0.5, 30.0)), r"at\[1\] must be in \[0, 1\], got 30"),
        (lambda: Exponential(final=0.0), "final must be in"),
        (lambda: Cosine(floor=2.0), r"Cosine: floor must be in \[0, 1\], got 2"),
        (lambda: Linear(floor=-0.1), "floor must be in"),
        (lambda: OneCycle(peak=1.0), "peak must be between 0 and 1"),
        (lambda: WarmUp(500), "fraction must be between 0 and 1, got 500"),
        (lambda: WarmUp(math.nan), "fraction must be between"),
        (lambda: WarmupStableDecay(0.6, 0.6), "together they must be at most 1"),
        (lambda: ReduceOnPlateau(factor=1.0), "factor must be between"),
        (lambda: ReduceOnPlateau(patience=-1), "patience must be at least 0, got -1"),
    ],
)
def test_out_of_range_is_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()

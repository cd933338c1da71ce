"""What the machine can do, and what a run makes of it."""

import json
import sys

import pytest

from descend.engine import STEP, Compute, train
from descend.engine.limits import Limits, measure
from descend.recipes.digits import digits


@pytest.mark.slow
def test_limits_are_rates_of_this_machine():
    found = measure()
    # Any machine that runs the tests multiplies faster than 1 GFLOP/s, and none reaches 1 EFLOP/s.
    assert all(1e9 < rate < 1e18 for rate in (found.float32, found.bfloat16, found.copy))


def test_the_share_is_of_the_precisions_own_limit():
    limits = Limits(float32=100.0, bfloat16=400.0, copy=1.0)
    assert limits.share(50.0, "float32") == 0.5
    assert limits.share(50.0, "bfloat16") == 0.125


@pytest.mark.slow
def test_a_run_says_where_its_time_went_and_its_share_of_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["descend.engine.train"], "SHORT", 0.0)
    train(digits(seed=0), tmp_path / "run", Compute(precision="float32", compile=False))
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    seconds, limit = scores["seconds"], scores["limit"]
    assert all(seconds[name] > 0 for name in STEP)
    assert sum(seconds.values()) - seconds["total"] == pytest.approx(seconds["total"], abs=0.02)
    assert 0 < limit["share"] < 1
    # 64-128-64-10 at batch 64 or more: six operations a weight and sample, but for the inputs' own gradient.
    weights = 64 * 128 + 128 * 64 + 64 * 10
    assert limit["flops_per_s"] == pytest.approx(6 * weights * scores["samples_per_s"], rel=0.4)

"""The loop: every sample once, one hook, exact resume inside one process, stops that are clean."""

import json
import math

import pytest
import torch
from torch import nn

from descend.data import Batch, Loader, Stream, Tensors
from descend.engine import (
    Best,
    Compute,
    Diverged,
    EarlyStopping,
    Interrupted,
    Journal,
    Lines,
    Observer,
    Run,
    Stop,
    evaluate,
    fit,
)
from descend.engine.observers import Moment
from descend.losses import mse
from descend.optim import EMA, SGD, AdamW
from tests.engine.pages import Line, network, points


class Seen(Observer):
    def __init__(self):
        self.moments: list[Moment] = []

    def after(self, moment):
        self.moments.append(moment)


class Ids(Line):
    """Counts how often each sample is learned from."""

    def __init__(self, n):
        super().__init__(network(), SGD(0.01))
        self.counts = torch.zeros(n, dtype=torch.long)

    def step(self, batch):
        self.counts[batch["index"]] += 1
        return super().step(batch)


@pytest.mark.parametrize("batch", [1, 7, 16, 50, 100, 101, 102, 1000])
def test_fit_and_evaluate_count_every_sample_once(batch):
    data = points()
    task = Ids(101)
    loader = Loader(data, batch)
    fit(task, loader, steps=2 * loader.steps_per_epoch)
    assert (task.counts == 2).all()
    full = mse(task.predict(x=data.gather(torch.arange(101))["x"]), data.gather(torch.arange(101))["target"]).value()
    found = evaluate(task, data, batch=batch)
    assert found.samples == 101
    assert found.scores["loss"] == pytest.approx(full.item(), rel=1e-5)


def test_a_last_batch_of_one_works_with_batch_norm():
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    loader = Loader(points(33), 16)
    assert loader.steps_per_epoch == 2
    fit(Line(model, SGD(0.01)), loader, steps=4)


def test_observers_see_every_step_and_stop_ends_cleanly(tmp_path):
    class StopAt(Observer):
        def after(self, moment):
            if moment.step == 7:
                raise Stop("enough")

    seen = Seen()
    with Run.create(tmp_path / "run", {}) as run:
        fitted = fit(Line(network(), SGD(0.01)), Loader(points(), 16), steps=50, observers=[seen, StopAt()], run=run)
        assert (fitted.step, fitted.stopped) == (7, "enough")
        assert [m.step for m in seen.moments] == list(range(1, 8))
        assert run.checkpoints.steps() == [7]
        again = fit(Line(network(), SGD(0.01)), Loader(points(), 16), steps=50, run=run)
        assert (again.step, again.stopped) == (7, "enough")


def test_resumed_equals_unbroken_with_dropout_and_averages(tmp_path):
    class Break(Observer):
        def after(self, moment):
            if moment.step == 23:
                raise KeyError("killed")

    def go(folder, observers=()):
        torch.manual_seed(3)
        task = Line(network(0.5), AdamW(1e-2, average=EMA(0.99)))
        with Run.create(folder, {}) if not folder.exists() else Run.open(folder) as run:
            fit(
                task,
                Loader(points(), 16),
                steps=40,
                seed=5,
                valid=points(20),
                observers=[Journal(), *observers],
                run=run,
                checkpoint_seconds=0,
            )
        return task

    whole = go(tmp_path / "a")
    with pytest.raises(KeyError, match="killed"):
        go(tmp_path / "b", [Break()])
    resumed = go(tmp_path / "b")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    lines = [[json.loads(line) for line in (tmp_path / f / "metrics.jsonl").read_text().splitlines()] for f in "ab"]
    timed = ("seconds", "samples_per_s")
    plain = [[{k: v for k, v in line.items() if k not in timed} for line in ours] for ours in lines]
    assert plain[0] == plain[1]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR1", 75)])
def test_a_signal_finishes_the_step_and_commits(tmp_path, name, code):
    import os
    import signal

    class Send(Observer):
        def after(self, moment):
            if moment.step == 4:
                os.kill(os.getpid(), getattr(signal, name))

    before = signal.getsignal(signal.SIGTERM)
    with Run.create(tmp_path / "run", {}) as run, pytest.raises(Interrupted, match="after step 4") as caught:
        fit(Line(network(), SGD(0.01)), Loader(points(), 16), steps=50, observers=[Send()], run=run)
    assert caught.value.code == code
    assert run.checkpoints.steps() == [4]
    assert signal.getsignal(signal.SIGTERM) is before


class Poisoned(Stream):
    """NaN in the batch of step 6."""

    steps_per_epoch = 5

    def batch(self, step, rank=0, ranks=1):
        batch = Batch(points(8).gather(torch.arange(8)))
        return Batch(x=batch["x"] * (math.nan if step == 6 else 1), target=batch["target"])


def test_nan_stops_at_the_last_good_state_and_names_the_batch(tmp_path):
    with Run.create(tmp_path / "run", {}) as run:
        with pytest.raises(Diverged, match=r"nan in step 6: the batch's 'x' is not finite.*checkpoint 000006"):
            fit(Line(network(), SGD(0.01)), Poisoned(), steps=50, run=run)
        step, state, _ = run.checkpoints.newest()
    assert step == 6
    assert all(value.isfinite().all() for value in state["task"].values())


def test_nan_names_the_first_bad_module(tmp_path):
    class Root(nn.Module):
        def forward(self, x):
            return (x - 1e9).sqrt()

    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), Root(), nn.Linear(4, 2))
    with pytest.raises(Diverged, match=r"step 0: model\.2 \(Root\) was the first"):
        fit(Line(model, SGD(0.01)), Loader(points(), 16), steps=5)


def test_weights_that_were_lost_fall_back_to_the_newest_checkpoint(tmp_path):
    class Explode(Line):
        def step(self, batch):
            metrics = super().step(batch)
            if self.progress > 0.5:
                with torch.no_grad():
                    self.model[0].weight.fill_(math.nan)
            return metrics

    with Run.create(tmp_path / "run", {}) as run:
        with pytest.raises(Diverged, match=r"the parameter model\.0\.weight was no longer finite.*no good checkpoint"):
            fit(Explode(network(), SGD(0.01)), Loader(points(), 16), steps=20, run=run)
        assert run.checkpoints.steps() == []


def test_early_stopping_waits_and_remembers():
    stopping = EarlyStopping(patience=2)
    data = points(20)
    frozen = Line(network(), SGD(1e-12))
    fitted = fit(frozen, Loader(points(), 16), steps=100, valid=data, every=5, observers=[stopping])
    assert fitted.step == 15
    assert "has not improved for 2" in fitted.stopped
    other = EarlyStopping(patience=2)
    other.load_state_dict(stopping.state_dict())
    assert other.waited == 2


def test_best_keeps_the_best_and_not_the_last(tmp_path):
    class Worse(Line):
        def step(self, batch):
            metrics = super().step(batch)
            if self.progress > 0.5:
                with torch.no_grad():
                    self.model[0].weight.mul_(1.5)
            return metrics

    best = Best()
    task = Worse(nn.Sequential(nn.Linear(6, 2)), SGD(0.05))
    with Run.create(tmp_path / "run", {}) as run, pytest.raises(TypeError, match="does not keep its argument"):
        fit(task, Loader(points(), 16), steps=40, valid=points(30), every=5, observers=[best], run=run)


def test_lines_when_piped(capsys):
    fit(Line(network(), SGD(0.01)), Loader(points(), 16), steps=14, valid=points(20), observers=[Lines()])
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 2
    assert "step 7/14" in shown[0]
    assert "valid/loss" in shown[0]
    assert "\x1b" not in "".join(shown)


@pytest.mark.slow
def test_compile_without_a_compiler_says_so_and_the_state_is_untouched(tmp_path):
    import torch._inductor.config as inductor

    # Without its caches, because what an earlier test compiled would be taken.
    broken = inductor.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True})
    model = network()
    other = network()
    other.load_state_dict(model.state_dict())
    compiled, plain = Line(model, SGD(0.1, momentum=0.9)), Line(other, SGD(0.1, momentum=0.9))
    with Run.create(tmp_path / "run", {"compute": {"notes": []}}) as run, broken:
        fitted = fit(compiled, Loader(points(), 16), steps=5, compute=Compute(compile=True), run=run)
        assert run.description["compute"]["notes"] == fitted.notes
    fit(plain, Loader(points(), 16), steps=5)
    assert "fell back to eager" in fitted.notes[0]
    assert "\n" not in fitted.notes[0]
    for a, b in zip(compiled.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_compiled_equals_eager():
    model = network()
    other = network()
    other.load_state_dict(model.state_dict())
    compiled, plain = Line(model, SGD(0.1)), Line(other, SGD(0.1))
    fitted = fit(compiled, Loader(points(), 16), steps=15, compute=Compute(compile=True))
    fit(plain, Loader(points(), 16), steps=15)
    assert fitted.notes == ["torch.compile: compiled"]
    for a, b in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_evaluation_says_what_an_exact_metric_keeps():
    from torchmetrics import MetricCollection, SpearmanCorrCoef

    class Ranked(Line):
        def metrics(self):
            return MetricCollection({"rank": SpearmanCorrCoef(num_outputs=2)})

    said = []
    found = evaluate(Ranked(network(), SGD(0.1)), points(), batch=10, say=said.append)
    assert found.kept == 101 * 2 * 2 * 4
    assert len(said) == 1
    assert "101 samples" in said[0]
    said.clear()
    evaluate(Line(network(), SGD(0.1)), points(), batch=10, say=said.append)
    assert said == []


def test_an_empty_split_is_refused():
    with pytest.raises(ValueError, match="without a sample"):
        evaluate(Line(network(), SGD(0.1)), _Empty())


class _Empty(Tensors):
    def __init__(self):
        pass

    def __len__(self):
        return 0

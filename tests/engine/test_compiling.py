"""A step compiled as one graph is the eager step: losses, gradients, buffers, draws; the rest stays eager."""

import copy
import os
import signal
import subprocess
import sys

import pytest
import torch
from torch import nn

from descend.data import Batch, Loader
from descend.engine import Compute, Interrupted, Observer, Run, fit
from descend.engine.compiling import StepGraph
from descend.functional import Mean
from descend.optim import EMA, AdamW, ClipNorm, Muon, SharpnessAware
from tests.engine.pages import Line, TwoCounts, points

CHECKED = os.environ.get("DESCEND_TYPECHECK", "1") != "0"
without = pytest.mark.skipif(CHECKED, reason="runs below, in a process without the type checker")
"""The checker's frames cannot be captured, and a graph is captured whole or not at all."""

GRAPH = Compute("cpu", "float32", graph=True).settled()


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16, bias=False), nn.BatchNorm1d(16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, 2))


@without
@pytest.mark.parametrize(
    ("kind", "optimizer"),
    [
        (Line, AdamW(1e-2, clip=ClipNorm(1.0), average=EMA(0.9))),
        (TwoCounts, Muon(1e-2)),
        (Line, AdamW(1e-2, rule=SharpnessAware(0.05))),
    ],
)
def test_a_graph_is_the_eager_step(kind, optimizer):
    one, other = kind(layers(), optimizer), kind(layers(), optimizer)
    # 101 samples: the last batch of an epoch has 5, and is not what was compiled.
    fitted = fit(one, Loader(points(), 16), steps=15, compute=GRAPH)
    fit(other, Loader(points(), 16), steps=15, compute=Compute("cpu").settled())
    assert fitted.notes == ["whole-step graph: compiled"]
    assert fitted.compute.graph
    assert one.descent.graph is None  # the task is handed back as it came
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@without
def test_in_bfloat16_it_computes_as_autocast_does():
    x = Loader(points(), 16).batch(0)
    task = Line(layers(), AdamW(1e-2))
    compute = Compute("cpu", "bfloat16").settled()
    graph, parameters = StepGraph(compute), list(task.parameters())
    assert graph.takes(task.loss, x)
    torch.manual_seed(1)
    gradients, metrics = graph(task.loss, x, parameters)
    torch.manual_seed(1)
    with compute.autocast():
        value = task.loss(x).value()
    torch.testing.assert_close(metrics["loss"], value.detach(), rtol=1e-2, atol=1e-3)
    for a, b in zip(gradients, torch.autograd.grad(value, parameters), strict=True):
        assert a is not None
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0.1, atol=0.02)


@without
def test_what_a_loss_reads_from_its_task_is_read_anew():
    class Weighted(Line):
        factor = 1.0

        def loss(self, batch):
            errors = (self(batch["x"]) - batch["target"]).square()
            return Mean.of(errors * (1 + self.progress)) * self.factor

    task, batch = Weighted(layers().eval(), AdamW(1e-2)), Loader(points(), 16).batch(0)
    graph, parameters = StepGraph(GRAPH), list(task.parameters())
    assert graph.takes(task.loss, batch)
    first = graph(task.loss, batch, parameters)[1]["loss"]
    task.factor = 3.0
    torch.testing.assert_close(graph(task.loss, batch, parameters)[1]["loss"], 3 * first)
    task.progress.fill_(1.0)
    torch.testing.assert_close(graph(task.loss, batch, parameters)[1]["loss"], 6 * first)


def test_only_the_first_loss_and_batches_like_its_own_are_taken():
    task, batch = Line(layers(), AdamW(1e-2)), Loader(points(), 16).batch(0)
    graph = StepGraph(GRAPH)
    assert not graph.takes(lambda batch: task.loss(batch), batch)
    assert graph.takes(task.loss, batch)
    assert graph.takes(task.loss, copy.deepcopy(batch))
    assert not graph.takes(copy.deepcopy(task).loss, batch)
    assert not graph.takes(task.loss, Batch({name: tensor[:5] for name, tensor in batch.items()}))
    assert not graph.takes(task.loss, Batch({name: tensor.double() for name, tensor in batch.items()}))


def test_a_loss_that_cannot_be_captured_stays_eager():
    class Asking(Line):
        def loss(self, batch):
            return super().loss(batch) * (2.0 if batch["x"].sum().item() > 0 else 1.0)

    fitted = fit(Asking(layers(), AdamW(1e-2)), Loader(points(), 16), steps=3, compute=GRAPH)
    (note,) = fitted.notes
    assert note.startswith("whole-step graph: fell back to eager mode (")
    assert not fitted.compute.graph


@without
def test_a_run_that_goes_on_compiles_for_the_same_batches(tmp_path):
    """Of 101 points in batches of 16, the seventh holds five; there the run goes on."""

    class Ends(Observer):
        def after(self, moment):
            if moment.step == 6:
                os.kill(os.getpid(), signal.SIGTERM)

    ends = []
    for stops in (False, True):
        torch.manual_seed(0)
        with Run.create(tmp_path / str(stops), {}) as run:
            task = Line(layers(), AdamW(1e-2))
            if stops:
                with pytest.raises(Interrupted):
                    fit(task, Loader(points(), 16), steps=12, compute=GRAPH, run=run, observers=[Ends()])
                state, _ = run.checkpoints.newest()[1:]
                assert [form[:2] for form in state["forms"]["descent"]][:2] == [["x", [16, 6]], ["target", [16, 2]]]
                task = Line(layers(), AdamW(1e-2))
            fit(task, Loader(points(), 16), steps=12, compute=GRAPH, run=run)
        ends.append([parameter.detach() for parameter in task.parameters()])
    for a, b in zip(*ends, strict=True):
        assert torch.equal(a, b)


@without
def test_a_graph_that_can_no_longer_be_compiled_gives_way():
    """torch compiles anew for each value that a loss reads from its task, eight times."""

    class Weighted(Line):
        factor = 1.0

        def loss(self, batch):
            return super().loss(batch) * self.factor

    class Turns(Observer):
        def after(self, moment):
            moment.task.factor += 0.5

    with pytest.warns(UserWarning, match="the step is no longer one graph: it could not be compiled anew"):
        fitted = fit(
            Weighted(layers(), AdamW(1e-3)), Loader(points(), 16), steps=20, compute=GRAPH, observers=[Turns()]
        )
    assert fitted.step == 20


@pytest.mark.slow
@pytest.mark.skipif(not CHECKED, reason="is that process")
def test_all_of_this_without_the_type_checker():
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", __file__]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "DESCEND_TYPECHECK": "0"}
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "9 passed, 1 skipped" in done.stdout

"""What the engine chooses by itself: nothing that computes something else, nothing that does not pay, once."""

import json
import sys
import time
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from descend.data import Batch, Loader, Tensors
from descend.engine import Clock, Compute, Diverged, Ranks, Run, fit, memory, onednn, policy, resume, setting, train
from descend.engine.attention import Products
from descend.engine.policy import choose
from descend.engine.rehearsal import Rehearsal
from descend.engine.setting import Setting
from descend.functional import keyed
from descend.optim import EMA, SGD, AdamW
from tests.engine.pages import Line, line, network, points

OPEN = Compute(
    "cpu", channels_last=False, hold_memory=False, threads=1, compile=False, graph=False, products=False, onednn=False
)
"""Only the precision is to be chosen."""


class Net(nn.Module):
    """6 → 2, slow in float32; what it gives in bfloat16, or compiled, is multiplied."""

    def __init__(self, slow=0.002, factor=1.0, compiled=1.0, quick=0.0):
        super().__init__()
        self.map = nn.Linear(6, 2)
        self.slow, self.factor, self.compiled, self.quick = slow, factor, compiled, quick

    def forward(self, x):
        if torch.compiler.is_compiling():
            return self.map(x) * self.compiled
        if torch.is_autocast_enabled("cpu"):
            time.sleep(self.quick)
            return self.map(x) * self.factor
        time.sleep(self.slow)
        return self.map(x)


def chosen(model, asked, steps=100_000, optimizer=None):
    task = Line(model, optimizer or SGD(0.1))
    installed = Setting(task, Ranks(), Clock(0, 0, steps))
    installed.install(replace(asked.settled(), compile=False))
    batch = Loader(points(), 16).batch(0)
    task.train()
    compute, notes = choose(asked, Rehearsal(task, 0, lambda: task.step(batch)), installed.install, steps, Ranks())
    assert installed.compute == compute
    return compute, notes


@pytest.mark.slow
def test_a_faster_way_that_gives_the_same_is_kept():
    compute, (note,) = chosen(Net(), OPEN)
    assert compute == replace(OPEN, precision="bfloat16")
    assert note.startswith("precision bfloat16: kept (")


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.5, 0.0, float("nan")])
def test_a_faster_way_that_gives_something_else_is_refused(factor):
    compute, (note,) = chosen(Net(factor=factor), OPEN)
    assert compute == replace(OPEN, precision="float32")
    assert note.startswith("precision bfloat16: refused (")


class Looking(nn.Module):
    """The mean of what one head of attention sees."""

    def __init__(self, width):
        super().__init__()
        self.three, self.head = nn.Linear(width, 3 * width), nn.Linear(width, 2)

    def forward(self, x):
        parts = (part[:, None] for part in self.three(x).chunk(3, 2))
        return self.head(nn.functional.scaled_dot_product_attention(*parts)[:, 0].mean(1))


class Last(nn.Module):
    """The last state of an LSTM."""

    def __init__(self, inputs, width):
        super().__init__()
        self.lstm, self.head = nn.LSTM(inputs, width, batch_first=True), nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, *grads):
        return grads[0] * 0.5


class Half(Net):
    """The forward pass is right in bfloat16, the gradient half of what it is."""

    def forward(self, x):
        y = super().forward(x)
        return WrongGradient.apply(y) if torch.is_autocast_enabled("cpu") else y


def test_a_right_loss_with_a_wrong_gradient_is_refused():
    compute, (note,) = chosen(Half(), OPEN)
    assert compute.precision == "float32"
    assert note == "precision bfloat16: refused (the gradient of map.weight differs by 5.0e-01 of its size)"


@pytest.mark.slow
def test_a_slower_way_is_left():
    compute, (note,) = chosen(Net(slow=0.001, quick=0.008), OPEN)
    assert compute.precision == "float32"
    assert note.startswith("precision bfloat16: left (")


@pytest.mark.parametrize(("held", "words"), [(0.0101, "kept (0.99"), (0.011, "left (0.91")])
def test_memory_is_held_unless_that_is_slower(monkeypatch, held, words):
    state = []
    monkeypatch.setattr(memory, "hold", state.append)
    monkeypatch.setattr(Rehearsal, "seconds", lambda *_: held if state[-1] else 0.01)
    compute, (note,) = chosen(Net(slow=0.0), replace(OPEN, precision="float32", hold_memory=None))
    assert note.startswith(f"hold_memory: {words}")
    assert compute.hold_memory == state[-1] == ("kept" in words)


def test_a_way_in_which_steps_fail_while_they_are_timed_is_refused(monkeypatch):
    taken = iter([0.01])

    def seconds(*_):
        for each in taken:
            return each
        raise Diverged("the loss became nan")

    monkeypatch.setattr(Rehearsal, "seconds", seconds)
    compute, notes = chosen(Net(slow=0.0), OPEN)
    assert compute.precision == "float32"
    assert notes == ["precision bfloat16: refused (Diverged: the loss became nan)"]


@pytest.mark.parametrize("steps", [0, 1, policy.STEPS - 1])
def test_a_short_run_tries_nothing(steps):
    assert chosen(Net(), OPEN, steps) == (replace(OPEN, precision="float32"), [])


def test_what_was_told_is_not_tried():
    told = replace(OPEN, precision="float32")
    assert chosen(Net(), told) == (told, [])


@pytest.mark.slow
@pytest.mark.parametrize(("cost", "words"), [(0.0, "kept ("), (4.0, " s and took 4 s)")])
def test_compilation_is_kept_where_it_pays(monkeypatch, cost, words):
    model = Net()

    def quick(task, made):
        time.sleep(cost)
        model.slow = 0.0

    def slow(task):
        model.slow = 0.002

    monkeypatch.setattr(setting, "compile_networks", quick)
    monkeypatch.setattr(setting, "decompile", slow)
    monkeypatch.setattr(policy, "WAYS", (replace(way(compile=True), least=0.0, each=0.0),))
    asked = replace(OPEN, precision="float32", compile=None)
    compute, (note,) = chosen(model, asked, steps=policy.STEPS)
    assert words in note
    assert compute.compile == (cost == 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("each", "tried"), [(1e9, False), (0.0, True)])
def test_compilation_waits_for_a_rest_that_is_long_for_so_many_tensors(monkeypatch, each, tried):
    compiled = []
    monkeypatch.setattr(setting, "compile_networks", lambda task, made: compiled.append(task))
    monkeypatch.setattr(policy, "WAYS", (replace(way(compile=True), least=0.0, each=each),))
    _, notes = chosen(Net(), replace(OPEN, precision="float32", compile=None), steps=policy.STEPS)
    assert (bool(compiled), bool(notes)) == (tried, tried)


def test_both_ways_to_compile_count_tensors():
    assert all(each.each > 0 for each in policy.WAYS if each.compiles)


@pytest.mark.slow
def test_a_compiled_network_that_computes_something_else_is_refused():
    asked = replace(OPEN, precision="float32", compile=True)
    compute, (note,) = chosen(Net(compiled=1.01), asked)
    assert compute == replace(asked, compile=False)
    assert note.startswith("torch.compile: fell back to eager mode (loss differs by ")
    compute, (note,) = chosen(Net(), asked)
    assert compute == asked
    assert note == "torch.compile: compiled"


@pytest.mark.slow
def test_dropout_draws_the_same_compiled_or_not():
    model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 2))
    _, (note,) = chosen(model, replace(OPEN, precision="float32", compile=True))
    assert note == "torch.compile: compiled"


def test_a_rehearsal_leaves_no_trace():
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
    task = Line(model, AdamW(1e-2, average=EMA(0.9)))
    batch = Loader(points(), 16).batch(0)
    task.train()
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    rehearsal = Rehearsal(task, 3, lambda: task.step(batch))
    one, other = rehearsal.outcome(), rehearsal.outcome()
    assert rehearsal.seconds() > 0
    assert one.differs(other, other, "float32") == ""
    assert rehearsal.outcome(1e-5).differs(one, one, "float32") == ""
    assert rehearsal.outcome(0.3).differs(one, one, "float32")
    assert all(torch.equal(one.gradients[key], other.gradients[key]) for key in one.gradients)
    assert {name for _, _, name in one.gradients} == {name for name, _ in model.named_parameters()}
    assert all(torch.equal(before[name], tensor) for name, tensor in task.state_dict().items())
    assert task.descent.state_dict() == {}


@pytest.mark.parametrize(
    ("model", "shape", "forward"),
    [
        (nn.Sequential(nn.Linear(6, 2)), (6,), 2 * 16 * 6 * 2),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(72, 2)), (3, 5, 5), 2 * 16 * (9 * 27 * 8 + 144)),
        (Last(7, 5), (4, 7), 2 * 16 * 4 * (20 * 12) + 2 * 16 * 10),
        (Looking(8), (32, 8), 2 * 16 * 32 * 8 * 24 + 2 * 16 * 32 * 32 * (8 + 8) + 2 * 16 * 16),
    ],
    ids=["linear", "convolution", "lstm", "attention"],
)
def test_operations_are_counted(model, shape, forward):
    task = Line(model, SGD(0.1))
    batch = Batch(x=torch.randn(16, *shape), target=torch.randn(16, 2))
    found = Rehearsal(task, 0, lambda: task.step(batch)).flops()
    # The backward pass takes as much for the weights, and again for the inputs of all layers but the first.
    assert 2 * forward <= found <= 3 * forward


def test_filters_change_their_layout_and_back():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 2))
    with_last = model[0].weight.detach().clone(memory_format=torch.channels_last)
    installed = Setting(Line(model, SGD(0.1)), Ranks(), Clock())
    installed.install(Compute(channels_last=True).settled())
    assert model[0].weight.stride() == with_last.stride()
    installed.install(Compute(channels_last=False).settled())
    assert model[0].weight.is_contiguous()
    assert torch.equal(model[0].weight, with_last)


def test_memory_is_held_and_given_back():
    try:
        if not memory.hold(True):
            pytest.skip("the C library has no mallopt")
        assert memory.hold(True)
        assert torch.ones(1 << 20).sum() == 1 << 20
    finally:
        assert memory.hold(False)


def test_a_run_chooses_once(tmp_path, monkeypatch):
    keyed.reseed(0)
    with Run.create(tmp_path / "run", {"compute": {"notes": []}}) as run:
        first = fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=4, compute=Compute(threads=1), run=run)
        written = run.description["compute"]
        assert {name: written[name] for name in asdict(first.compute)} == asdict(first.compute)
        assert None not in written.values()
        json.dumps(written)
        monkeypatch.setattr(sys.modules["descend.engine.fit"], "choose", None)
        again = fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=8, compute=first.compute, run=run)
    assert again.compute == first.compute
    assert again.notes == []


def test_a_run_that_goes_on_computes_as_it_chose(tmp_path, monkeypatch):
    """Also where it is asked for anew with all left open, and where its description said nothing of computing."""
    keyed.reseed(0)
    with Run.create(tmp_path / "run", {"seed": 0}) as run:
        first = fit(
            Line(network(), SGD(0.1)), Loader(points(), 16), steps=4, compute=Compute("cpu", "bfloat16"), run=run
        )
        monkeypatch.setattr(sys.modules["descend.engine.fit"], "choose", None)
        again = fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=8, compute=Compute(), run=run)
        assert again.compute == first.compute
        assert again.compute.precision == "bfloat16"
        told = fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=9, compute=Compute("cpu", "float32"), run=run)
        assert told.compute.precision == "float32"


def test_a_run_killed_before_its_first_checkpoint_keeps_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["descend.engine.fit"], "choose", None)
    with Run.create(tmp_path / "run", {}) as run:
        run.chose(asdict(Compute("cpu", "bfloat16").settled()), ["precision bfloat16: kept (1.74 times as fast)"])
        fitted = fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=3, run=run)
        assert fitted.compute.precision == "bfloat16"
        assert run.description["compute"]["notes"] == ["precision bfloat16: kept (1.74 times as fast)"]


@pytest.mark.parametrize("optimizer", [AdamW(1e-2), SGD(0.1, momentum=0.9)])
def test_moments_follow_their_parameters_into_another_layout(optimizer):
    found = []
    for last in (False, True):
        keyed.reseed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(72, 2))
        task, x = Line(model, optimizer), torch.randn(64, 3, 5, 5, generator=keyed.generator(1))
        stream = Loader(Tensors(x=x, target=torch.stack([x.mean((1, 2, 3)), x[:, 0, 2, 2]], 1)), 16)
        for way in (False, last):
            fit(task, stream, steps=20, compute=Compute("cpu", "float32", channels_last=way).settled())
        found.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_a_scale_at_which_gradients_overflow_is_lowered_before_they_are_compared():
    task = Line(network(), SGD(0.1))
    Setting(task, Ranks(), Clock(0, 0, 10)).install(Compute("cpu", "float16").settled())
    batch = Batch({name: 100 * tensor for name, tensor in Loader(points(), 16).batch(0).items()})
    rehearsal = Rehearsal(task, 0, lambda: task.step(batch))
    assert rehearsal._outcome(0.0).gradients == {}
    found = rehearsal.outcome()
    assert len(found.gradients) == 4
    assert task.descent.state_dict() == {}
    nothing = replace(found, gradients={})
    assert nothing.differs(nothing, nothing, "float16") == "no gradient was seen, so none could be compared"


def test_the_process_is_left_as_it_was():
    compute = Compute("cpu", hold_memory=True, onednn=True, threads=1)
    fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=2, compute=compute)
    assert not memory.held()
    assert not onednn.used()


def test_a_graph_that_nothing_was_captured_in_is_refused():
    fitted = fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=2, compute=Compute("cpu", graph=True, micro=2))
    (note,) = fitted.notes
    assert note.startswith("whole-step graph: fell back to eager mode (nothing was captured")
    assert not fitted.compute.graph


def test_what_cannot_be_compiled_when_a_run_goes_on_is_left(tmp_path, monkeypatch):
    with Run.create(tmp_path / "run", {}) as run:
        run.chose(asdict(Compute("cpu", compile=True).settled()), [])

        def refuse(*_, **__):
            def call(*_, **__):
                raise RuntimeError("there is no compiler")

            return call

        monkeypatch.setattr(torch, "compile", refuse)
        fitted = fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=3, run=run)
    assert fitted.notes == ["compiled before, eager from here on (RuntimeError: there is no compiler)"]
    assert fitted.step == 3


def test_a_resumed_run_computes_as_its_record_says(tmp_path, monkeypatch):
    chosen = Compute("cpu", "bfloat16", threads=1).settled()
    train(line(steps=6, seed=0), tmp_path / "run", chosen)
    asked = []

    def stop(*_, compute, **__):
        asked.append(compute)
        raise RuntimeError("seen")

    monkeypatch.setattr(sys.modules["descend.engine.train"], "fit", stop)
    with pytest.raises(RuntimeError, match="seen"):
        resume(tmp_path / "run")
    assert asked == [chosen]


def test_threads_are_put_back():
    before = torch.get_num_threads()
    fit(Line(network(), SGD(0.1)), Loader(points(), 16), steps=2, compute=Compute(threads=1))
    assert torch.get_num_threads() == before


def test_a_graph_that_was_compiled_on_trial_is_taken_again():
    task = Line(network(), SGD(0.1))
    installed = Setting(task, Ranks(), Clock())
    plain = Compute("cpu").settled()
    installed.install(replace(plain, graph=True))
    first = task.descent.graph
    installed.install(replace(plain, graph=True, precision="bfloat16"))
    assert task.descent.graph is not first
    installed.install(replace(plain, graph=True))
    assert task.descent.graph is first
    installed.install(plain)
    assert task.descent.graph is None


def test_what_came_compiled_stays_compiled():
    task = Line(network(), SGD(0.1))
    task.model._compiled_call_impl = own = task.model._call_impl
    installed = Setting(task, Ranks(), Clock())
    installed.install(Compute("cpu").settled())
    assert task.model._compiled_call_impl is own


def way(**changes):
    """The last of the engine's ways that changes this."""
    return [each for each in policy.WAYS if each.changes == changes][-1]


@pytest.mark.slow
def test_inside_a_graph_bfloat16_is_tried_again_and_networks_are_not_compiled(monkeypatch):
    task, plain = Line(network(), SGD(0.1)), Compute("cpu").settled()
    graph, networks, again = way(graph=True), way(compile=True), way(precision="bfloat16")
    rehearsal = Rehearsal(task, 0, dict)
    assert networks.worth(rehearsal, plain)
    assert not networks.worth(rehearsal, replace(plain, graph=True))
    assert not again.worth(rehearsal, plain)

    model = Net(slow=0.04, quick=0.04)
    monkeypatch.setattr(setting, "compile_steps", lambda *_: vars(model).update(slow=0.02, quick=0.0))
    monkeypatch.setattr(policy, "captured", lambda task: True)
    monkeypatch.setattr(setting, "decompile", lambda task: vars(model).update(slow=0.04, quick=0.04))
    monkeypatch.setattr(policy, "WAYS", tuple(replace(each, least=0.0, each=0.0) for each in (graph, again, networks)))
    compute, notes = chosen(model, replace(OPEN, precision=None, graph=None, compile=None))
    assert compute.graph
    assert compute.precision == "bfloat16"
    assert [note.partition(":")[0] for note in notes] == ["whole-step graph", "precision bfloat16"]


@pytest.mark.parametrize(
    ("error", "tried"),
    [("", ["whole-step graph: left"]), ("cannot be captured", ["whole-step graph: refused", "torch.compile: left"])],
)
def test_networks_are_compiled_only_where_the_whole_step_cannot_be(monkeypatch, error, tried):
    def capture(task, compute, made, forms):
        if error:
            raise RuntimeError(error)

    monkeypatch.setattr(setting, "compile_steps", capture)
    monkeypatch.setattr(setting, "compile_networks", lambda task, made: None)
    monkeypatch.setattr(policy, "captured", lambda task: True)
    monkeypatch.setattr(Rehearsal, "seconds", lambda *_: 0.01)
    ways = (way(graph=True), way(compile=True))
    monkeypatch.setattr(policy, "WAYS", tuple(replace(each, least=0.0, each=0.0) for each in ways))
    _, notes = chosen(Net(slow=0.0), replace(OPEN, precision="float32", graph=None, compile=None))
    assert [note.partition(" (")[0] for note in notes] == tried


class Attending(nn.Module):
    """6 → 2 through attention; slow, unless both in bfloat16 and with its attention as products."""

    def __init__(self, slow=0.04):  # far more than a busy machine's own delays
        super().__init__()
        self.map = nn.Linear(6, 6)
        self.slow = slow

    def forward(self, x):
        q = self.map(x)[:, None, None]
        y = nn.functional.scaled_dot_product_attention(q, q, q)
        quick = torch.is_autocast_enabled("cpu") and any(type(mode) is Products for mode in _modes())
        time.sleep(0.0 if quick else self.slow)
        return y[:, 0, 0, :2]


def _modes():
    from torch.overrides import _get_current_function_mode_stack

    return _get_current_function_mode_stack()


@pytest.mark.slow
def test_bfloat16_and_products_are_tried_together_where_there_is_attention():
    asked = replace(OPEN, products=None)
    compute, notes = chosen(Attending(), asked)
    assert (compute.precision, compute.products) == ("bfloat16", True)
    assert [note.partition(" (")[0] for note in notes] == [
        "precision bfloat16: left",
        "products: left",
        "precision bfloat16 with products: kept",
    ]
    _, notes = chosen(Net(), asked)
    assert [note.partition(":")[0] for note in notes] == ["precision bfloat16"]

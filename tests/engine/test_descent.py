"""A descent: its gradient, its splits, its rules, its memory."""

import copy

import pytest
import torch
from torch import nn

from descend.data import Batch
from descend.engine import Clock, Compute, Descent, Diverged, Ranks
from descend.engine.setting import Setting
from descend.functional import Mean, keyed
from descend.losses import cross_entropy, mse
from descend.optim import EMA, SGD, AdamW, ClipNorm, ClipValue, Cosine, Muon, ReduceOnPlateau
from descend.optim.muon import OrthogonalMomentum
from tests.engine.pages import Line, TwoCounts, network, points

BATCH = Batch(points(37).gather(torch.arange(37)))


def _trained(task, steps=5, compute=None, batch=BATCH):
    clock = Clock(0, 0, steps)
    for descent in task.descents().values():
        descent.attach(compute or Compute(), Ranks(), clock)
    losses = []
    for step in range(steps):
        clock.step = step
        keyed.reseed(0, step)
        losses.append(task.step(batch)["loss"].item())
    return losses


def _same(a, b, tolerance=0.0):
    for (name, left), (_, right) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


def test_plain_step_equals_a_hand_written_loop():
    model = network()
    other = copy.deepcopy(model)
    task = Line(model, SGD(0.1, momentum=0.9))
    losses = _trained(task)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    expected = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(other(BATCH["x"]), BATCH["target"])
        expected.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses == pytest.approx(expected, rel=1e-6)
    _same(task.model, other, 1e-6)


@pytest.mark.parametrize("kind", [Line, TwoCounts])
@pytest.mark.parametrize("parts", [2, 4, 36])
def test_micro_batches_equal_the_full_batch(kind, parts):
    model = network()
    whole, split = kind(model, AdamW(1e-2)), kind(copy.deepcopy(model), AdamW(1e-2))
    losses = _trained(whole), _trained(split, compute=Compute(micro=parts))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    _same(whole, split, 1e-5)


def test_averaging_the_means_of_micro_batches_would_be_wrong():
    task = TwoCounts(network(), AdamW(1e-2))
    parts = [sum(m.value() for m in task.loss(part).values()).item() for part in BATCH.split(4)]
    full = sum(m.value() for m in task.loss(BATCH).values()).item()
    assert abs(sum(parts) / 4 - full) > 1e-3


def test_micro_batches_with_dropout_do_not_depend_on_when_counts_are_taken():
    model = network(0.5)
    first, second = TwoCounts(model, SGD(0.1)), TwoCounts(copy.deepcopy(model), SGD(0.1))
    _trained(first, compute=Compute(micro=3))
    _trained(second, compute=Compute(micro=3))
    _same(first, second)


def test_gradients_reach_only_what_the_descent_owns():
    generator, critic = nn.Linear(2, 2), nn.Linear(2, 1)
    descent = Descent(generator, SGD(0.1))
    before = copy.deepcopy(critic.state_dict())
    descent(lambda batch: Mean.of(critic(generator(batch["x"]))), Batch(x=torch.randn(8, 2)))
    assert all(p.grad is None for p in critic.parameters())
    assert all(torch.equal(before[k], v) for k, v in critic.state_dict().items())


@pytest.mark.parametrize("frozen", [True, False])
def test_torch_is_told_what_may_learn_unless_nothing_else_does(frozen):
    """A task with a network beside the descent's; the way that is quicker changes no bit."""
    task, other = (Line(copy.deepcopy(model), SGD(0.1)) for model in [network()] * 2)
    task.beside = nn.Linear(2, 2).requires_grad_(not frozen)
    task.loss = lambda batch: mse(task.beside(task(batch["x"])), batch["target"])
    other.loss = lambda batch: mse(task.beside(other(batch["x"])), batch["target"])
    Setting(task, Ranks(), Clock()).install(Compute("cpu").settled())
    assert task.descent.alone == frozen
    for each in (task, other):
        each.step(BATCH)
    assert not other.descent.alone
    assert all(p.grad is None for p in task.beside.parameters())
    _same(task.model, other.model)


def test_a_batch_that_teaches_nothing_moves_nothing():
    task = Line(network(), SGD(0.1))
    task.loss = lambda batch: cross_entropy(task(batch["x"]), torch.full((len(batch),), -100))
    before = copy.deepcopy(task.model)
    assert task.step(BATCH)["loss"] == 0
    _same(task.model, before)


def test_a_loss_without_a_count_is_refused():
    with pytest.raises(TypeError, match="returns a Mean"):
        Descent(nn.Linear(2, 1), SGD(0.1))(lambda batch: batch["x"].mean(), Batch(x=torch.randn(8, 2)))


def test_a_coupled_loss_is_not_split():
    task = Line(network(), SGD(0.1))
    task.loss = lambda batch: Mean(task(batch["x"]).var(), 1, coupled=True)
    with pytest.raises(ValueError, match="couples the samples"):
        _trained(task, compute=Compute(micro=2))


def test_batch_norm_is_not_split():
    task = Line(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), SGD(0.1))
    _trained(task)
    with pytest.raises(ValueError, match="Use GroupNorm"):
        _trained(task, compute=Compute(micro=2))


def test_the_schedule_is_a_function_of_progress():
    task = Line(network(), SGD(0.1, schedule=Cosine()))
    task.descent.attach(Compute(), Ranks(), Clock(0, 0, 10))
    assert task.descent.lr == pytest.approx(0.1)
    task.descent.clock.step = 5
    assert task.descent.lr == pytest.approx(0.05)


def test_a_plateau_lowers_the_rate_and_outlives_a_checkpoint():
    task = Line(network(), SGD(0.1, schedule=ReduceOnPlateau(factor=0.5, patience=1)))
    _trained(task, 1)
    for cost in (1.0, 1.0, 1.0):
        task.descent.watch(cost)
    assert task.descent.lr == pytest.approx(0.05)
    other = Line(network(), task.optimizer)
    other.load_state_dict(task.state_dict())
    other.descent.load_state_dict(task.descent.state_dict())
    assert other.descent.lr == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("clip", "reference"),
    [
        (ClipNorm(0.05), lambda p: nn.utils.clip_grad_norm_(p, 0.05)),
        (ClipValue(0.01), lambda p: nn.utils.clip_grad_value_(p, 0.01)),
    ],
)
def test_clipping_equals_torch(clip, reference):
    model = network()
    other = copy.deepcopy(model)
    _trained(Line(model, SGD(0.1, clip=clip)), 3)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.mse_loss(other(BATCH["x"]), BATCH["target"]).backward()
        reference(other.parameters())
        optimizer.step()
    _same(model, other, 1e-6)


def test_averaged_weights_step_in_and_out():
    task = Line(network(), SGD(0.5, average=EMA(0.9)))
    _trained(task, 10)
    live = copy.deepcopy(task.model.state_dict())
    with task.averaged():
        inside = copy.deepcopy(task.model.state_dict())
    assert any(not torch.equal(live[k], inside[k]) for k in live)
    assert all(torch.equal(live[k], v) for k, v in task.model.state_dict().items())


def test_nothing_is_built_before_the_first_step():
    task = Line(network(), AdamW(1e-3, average=EMA(0.9)))
    assert task.descent.state_dict() == {}
    task.predict(x=BATCH["x"])
    assert task.descent.state_dict() == {}


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), AdamW(1e-2, average=EMA(0.9))])
def test_state_by_name_continues_to_the_bit(optimizer):
    task = Line(network(), optimizer)
    _trained(task, 3)
    other = Line(network(), optimizer)
    other.load_state_dict(task.state_dict())
    other.descent.load_state_dict(copy.deepcopy(task.descent.state_dict()))
    _trained(task, 4)
    _trained(other, 4)
    _same(task, other)
    with task.averaged(), other.averaged():
        _same(task, other)
    assert set(task.descent.state_dict()["optimizer"]) == {name for name, _ in task.model.named_parameters()}


def test_apply_steps_with_given_gradients():
    model = nn.Linear(2, 1)
    descent = Descent(model, SGD(0.5))
    before = model.weight.detach().clone()
    descent.apply({"weight": torch.ones(1, 2)})
    torch.testing.assert_close(model.weight.detach(), before - 0.5)
    with pytest.raises(KeyError, match="typo"):
        descent.apply({"typo": torch.ones(1)})


def test_nan_moves_nothing():
    task = Line(network(), SGD(0.1))
    _trained(task, 1)
    before = copy.deepcopy(task.state_dict())
    with pytest.raises(Diverged, match="became nan in step 0"):
        task.step(Batch(x=torch.full((4, 6), torch.nan), target=torch.zeros(4, 2)))
    assert all(torch.equal(before[k], v) for k, v in task.state_dict().items())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_follows_float32(precision):
    model = network()
    plain, mixed = Line(model, SGD(0.05)), Line(copy.deepcopy(model), SGD(0.05))
    losses = _trained(plain, 20), _trained(mixed, 20, Compute(precision=precision))
    assert losses[1][-1] == pytest.approx(losses[0][-1], rel=0.05)
    assert all(p.dtype == torch.float32 for p in mixed.parameters())


@pytest.mark.parametrize(("precision", "half"), [("float32", False), ("bfloat16", True)])
def test_the_optimizer_computes_in_the_precision_of_the_passes(precision, half, monkeypatch):
    seen = []
    plain = OrthogonalMomentum.step
    monkeypatch.setattr(
        OrthogonalMomentum, "step", lambda own: [seen.append(torch.is_autocast_enabled("cpu")), plain(own)]
    )
    _trained(Line(network(), Muon(0.01)), 2, Compute(precision=precision))
    assert seen == [half, half]


def test_float16_skips_an_overflow_and_halves_its_scale():
    model = nn.Linear(6, 2)
    task = Line(model, SGD(1e-3))
    _trained(task, 1, Compute(precision="float16"))
    scale, weight = task.descent.state_dict()["scale"][0], model.weight.detach().clone()
    task.descent.moving.scale.scale = 1e38
    task.step(Batch(x=BATCH["x"], target=BATCH["target"]))
    assert torch.equal(model.weight, weight)
    assert task.descent.state_dict()["scale"][0] == 5e37
    assert scale == 2.0**15


def test_the_global_loss_is_reported_by_name():
    task = TwoCounts(network(), SGD(0.1))
    metrics = task.step(BATCH)
    torch.testing.assert_close(metrics["loss"], metrics["all"] + metrics["marked"])
    task.descent.attach(Compute(micro=4), Ranks(), Clock())
    before = {name: mean.value() for name, mean in task.loss(BATCH).items()}
    split = task.step(BATCH)
    torch.testing.assert_close(split["marked"], before["marked"].detach())


def test_a_module_without_parameters_is_refused():
    with pytest.raises(ValueError, match="nothing to move"):
        Descent(nn.ReLU(), SGD(0.1)).moving  # noqa: B018


def test_mse_of_every_target():
    assert mse(torch.zeros(3, 2), torch.ones(3, 2)).value() == 1


def test_moments_take_their_parameters_layout():
    """A fused step walks parameter and moment by memory: moments laid row by row would meet the wrong weights."""

    def make():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 2))
        return Line(model.to(memory_format=torch.channels_last), AdamW(1e-2))

    batch = Batch(x=torch.randn(10, 3, 4, 4), target=torch.randn(10, 2))
    task, other = make(), make()
    _trained(task, 3, batch=batch)
    state = {
        name: {k: v.clone(memory_format=torch.contiguous_format) for k, v in values.items()}
        for name, values in task.descent.state_dict()["optimizer"].items()
    }
    other.load_state_dict(task.state_dict())
    other.descent.load_state_dict({**task.descent.state_dict(), "optimizer": state})
    _trained(task, 3, batch=batch)
    _trained(other, 3, batch=batch)
    _same(task, other)

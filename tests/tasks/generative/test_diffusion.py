"""A network that learned two moons makes two moons; guidance leads where it is told; what is known stays, what is
asked wrongly is said."""

import math

import pytest
import torch
from torch import nn

from descend.data import Batch, Loader, Tensors
from descend.engine import evaluate, fit
from descend.functional import keyed
from descend.models import ClassCondition, DenoisingUNet, DiT, TimeEmbedding
from descend.optim import EMA, AdamW, OneCycle
from descend.tasks import (
    DDIM,
    CosineSchedule,
    Diffusion,
    DPMSolver,
    Epsilon,
    Even,
    Flow,
    Heun,
    LinearSchedule,
    StraightSchedule,
    Velocity,
    Way,
    ancestral,
)
from descend.tasks.generative.generative import numbers


class Points(nn.Module):
    """A network for points on a plane, pictures of two channels and one pixel."""

    def __init__(self, width=64):
        super().__init__()
        self.width = width
        self.time = TimeEmbedding(width)
        self.enter = nn.Linear(2, width)
        layers = [nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)]
        self.body = nn.Sequential(*layers, nn.SiLU(), nn.Linear(width, 2))

    def forward(self, x, time, vector=None, words=None, kept=None):
        told = self.time(time) if vector is None else self.time(time) + vector
        return self.body(self.enter(x.flatten(1)) + told)[..., None, None]


def moons(count, key):
    """Two half circles, 0 … 1, and which of the two."""
    generator = keyed.generator(key)
    angle = math.pi * torch.rand(count, generator=generator)
    target = torch.randint(2, (count,), generator=generator)
    x, y = angle.cos(), angle.sin()
    points = torch.stack([torch.where(target == 0, x, 1 - x), torch.where(target == 0, y, 0.5 - y)], 1)
    points = points + 0.05 * torch.randn(count, 2, generator=generator)
    return Tensors(x=(0.3 * points + 0.35)[:, :, None, None], target=target)


def sliced(a, b):
    """Mean distance of sorted shadows in 50 directions: `metrics.sliced_wasserstein` has its own test."""
    angle = torch.arange(50) * math.pi / 50
    across = torch.stack([angle.cos(), angle.sin()])
    return float(((a.flatten(1) @ across).sort(0)[0] - (b.flatten(1) @ across).sort(0)[0]).abs().mean())


CASES = [
    (Velocity(), CosineSchedule(), Way(DPMSolver(), 20)),
    (Epsilon(), LinearSchedule(), Way(ancestral(), 100)),
    (Flow(), StraightSchedule(), Way(Heun(), 20)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "schedule", "way"), CASES)
def test_two_moons_are_learned(objective, schedule, way):
    data, other = moons(20_000, 1), moons(2000, 2)
    torch.manual_seed(0)
    network = Points()
    optimizer = AdamW(1e-2, schedule=OneCycle(), average=EMA(0.99))
    condition = ClassCondition(2, network.width)
    task = Diffusion(network, optimizer, (2, 1, 1), condition, schedule, objective, Even(), way, silent=0.3)
    fit(task, Loader(data, 256), steps=3000)
    with task.averaged():
        anything = task.sample(2000, seed=1)
        first = task.sample(2000, seed=1, asked=Batch(target=torch.zeros(2000, dtype=torch.int64)))
    real = data.tensors["x"][:2000]
    baseline = sliced(real, other.tensors["x"])
    assert sliced(anything, other.tensors["x"]) < baseline + 0.01  # the whole is 0.9 wide
    own = data.tensors["x"][data.tensors["target"] == 0][:2000]
    assert sliced(first, own) < baseline + 0.01
    assert sliced(anything, own) > 0.05


def small(condition=True, **arguments):
    torch.manual_seed(0)
    network = DenoisingUNet(1, (8, 16), fold=1, heads=2)
    condition = ClassCondition(3, network.width) if condition else None
    task = Diffusion(network, AdamW(1e-3), (1, 8, 8), condition, way=Way(steps=5), **arguments)
    for parameter in task.parameters():  # what begins at 0 would hide what stands before it
        nn.init.normal_(parameter, std=0.2)
    return task.eval()


def test_a_picture_depends_on_its_number_alone():
    task = small()
    asked = Batch(target=torch.tensor([0, 1, 2, 0]))
    many = task.sample(4, seed=7, asked=asked)
    assert torch.equal(many, task.sample(4, seed=7, asked=asked))
    few = task.sample(2, seed=7, asked=Batch(target=torch.tensor([0, 1])))
    torch.testing.assert_close(many[:2], few, rtol=0, atol=1e-5)
    assert not torch.allclose(many, task.sample(4, seed=8, asked=asked), atol=0.05)
    assert not torch.allclose(many, task.sample(4, seed=7), atol=1e-4)
    assert many.min() >= 0
    assert many.max() <= 1
    torch.testing.assert_close(task.unfold(4, 7, asked)[-1], many)
    noisy = task.sample(4, seed=7, way=Way(ancestral(), 5))
    torch.testing.assert_close(noisy[:2], task.sample(2, seed=7, way=Way(ancestral(), 5)), rtol=0, atol=1e-5)


def test_guidance_leads_beyond():
    task = small()
    asked = Batch(target=torch.tensor([0, 1]))
    x, noisy = torch.randn(2, 1, 8, 8), 0.5
    unled, led, far = (task._said(x, noisy, a, g) for a, g in ((None, 1.0), (asked, 1.0), (asked, 3.0)))
    torch.testing.assert_close(far, unled + 3 * (led - unled))
    assert not torch.allclose(led, unled)


def test_guidance_leads_where_it_is_told(monkeypatch):
    task, seen, said = small(), [], Diffusion._said
    asked = Batch(target=torch.tensor([0, 1]))

    def told(self, x, noisy, asked, guidance):
        seen.append((noisy, guidance))
        return said(self, x, noisy, asked, guidance)

    monkeypatch.setattr(Diffusion, "_said", told)
    made = [task.sample(2, asked=asked, way=Way(steps=5, guidance=3.0, led=led)) for led in ((0.2, 0.8), (0.0, 1.0))]
    assert seen[:5] == [(1.0, 1.0), (0.8, 3.0), (0.6, 3.0), (0.4, 3.0), (0.2, 1.0)]
    assert [guidance for _, guidance in seen[5:]] == [3.0] * 5
    assert not torch.allclose(*made, atol=1e-3)


def test_what_is_known_stays():
    task = small()
    x = torch.rand(3, 1, 8, 8, generator=keyed.generator(1))
    hole = torch.zeros(3, 1, 8, 8, dtype=torch.bool)
    hole[:, :, 2:5, 2:5] = True
    filled = task.inpaint(x, hole, seed=1)
    torch.testing.assert_close(filled[~hole], x[~hole], rtol=0, atol=1e-5)
    assert not torch.allclose(filled[hole], x[hole], atol=0.05)
    near, far = task.vary(x, 0.02), task.vary(x, 1.0)
    assert (near - x).abs().mean() < 0.1 < (far - x).abs().mean()
    torch.testing.assert_close(task.predict(x=x), task.vary(x, 0.5))


def test_the_same_draws_in_every_evaluation_and_any_batch():
    task = small()
    batch = Batch(x=torch.rand(4, 1, 8, 8), target=torch.tensor([0, 1, 2, 0]))
    assert torch.equal(task.loss(batch).value(), task.loss(batch).value())
    data = Tensors(**batch.tensors)
    whole, single = (evaluate(task, data, batch=size).scores["loss"] for size in (4, 1))
    assert whole == pytest.approx(single, rel=1e-4)
    task.train()
    assert not torch.equal(task.loss(batch).value(), task.loss(batch).value())


def test_a_share_is_learned_without_its_class():
    """Told of no class, the vector for none alone is moved."""
    task = small(silent=1.0).train()
    task.loss(Batch(x=torch.rand(4, 1, 8, 8), target=torch.tensor([0, 1, 2, 0]))).value().backward()
    moved = task.condition.vectors.weight.grad.abs().sum(1) > 0
    assert moved.tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda task: task.sample(0), "0 pictures"),
        (lambda task: task.sample(2, way=Way(steps=1001)), "1001 solver steps.*1000 were taught"),
        (lambda task: Way(guidance=0), "guidance is 0"),
        (lambda task: Way(guidance=-1), "guidance is -1"),
        (lambda task: Way(guidance=float("nan")), "guidance is nan"),
        (lambda task: Way(steps=0), "0 solver steps"),
        (lambda task: Way(led=(0.8, 0.2)), r"led is \(0.8, 0.2\): give two shares"),
        (lambda task: Way(led=(0.0, 1.5)), r"led is \(0.0, 1.5\)"),
        (lambda task: DDIM(eta=2.0), "eta is 2.0"),
        (lambda task: Heun(straight=-1.0), "straight is -1.0"),
        (lambda task: small(schedule=StraightSchedule()).sample(1, way=Way(Heun(0.0), 5)), "begins without any signal"),
        (lambda task: small(objective=Epsilon(), schedule=StraightSchedule()), "signal of 0.*take Velocity"),
        (
            lambda task: small(silent=0.0).sample(1, asked=Batch(target=torch.tensor([0])), way=Way(guidance=2.0)),
            "guidance 2 leads away .* never taught",
        ),
        (lambda task: task.sample(2, asked=Batch(target=torch.tensor([0, 3]))), r"classes \[0, 3\].*0 … 2"),
        (lambda task: task.sample(2, asked=Batch(target=torch.tensor([0]))), "a row each"),
        (lambda task: task.sample(1, asked=Batch(words=torch.zeros(1, 2))), "give target"),
        (lambda task: small(condition=False).sample(1, asked=Batch(target=torch.tensor([0]))), "no condition"),
        (lambda task: small(silent=0.0).sample(1), "always told"),
        (lambda task: task.vary(torch.rand(1, 1, 8, 8), 0.0), "cannot start at 0.0"),
        (lambda task: task.loss(Batch(x=torch.rand(1, 3, 8, 8))), r"\[3, 8, 8\] came in.*\[1, 8, 8\]"),
        (lambda task: DenoisingUNet(1, (8, 16))(torch.rand(1, 1, 7, 8), torch.rand(1)), "that 2 divides"),
    ],
)
def test_what_is_asked_wrongly(wrong, why):
    with pytest.raises(ValueError, match=why):
        wrong(small())


def test_what_is_always_told_answers_to_no_picture():
    assert small().answers
    assert small(condition=False, silent=0.0).answers
    assert not small(silent=0.0).answers


@pytest.mark.slow
def test_a_compiled_dit_is_the_eager_one():
    torch.manual_seed(0)
    network = DiT(1, 32, 2, 2, patch=4)
    for parameter in network.parameters():  # gates that begin at 0 would hide the blocks
        nn.init.normal_(parameter, std=0.1)
    compiled = torch.compile(network)
    x, time, vector = torch.randn(3, 1, 8, 8), torch.rand(3), torch.randn(3, 32)
    found = []
    for each in (network, compiled):
        network.zero_grad()
        loss = (each(x, time, vector) ** 2).mean()
        loss.backward()
        found.append([loss.detach(), *(parameter.grad.clone() for parameter in network.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_numbers_of_a_row_are_its_own():
    many = numbers(1000, (3, 4), 5)
    torch.testing.assert_close(many[:10], numbers(10, (3, 4), 5))
    assert float(many.mean()) == pytest.approx(0, abs=0.03)
    assert float(many.std()) == pytest.approx(1, abs=0.03)

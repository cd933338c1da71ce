"""Diffusion: schedules and solvers equal diffusers', objectives their formulas; all solvers end where the exact
way ends; a network that learned two moons makes two moons; what is known stays, what is asked wrongly is said."""

import math

import diffusers
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
    Clean,
    CosineSchedule,
    Diffusion,
    DPMSolver,
    Epsilon,
    Even,
    Flow,
    Heun,
    LinearSchedule,
    MinSNR,
    StraightSchedule,
    Velocity,
    Way,
    ancestral,
)
from descend.tasks.generative.generative import numbers

OBJECTIVES = [Epsilon(), Clean(), Velocity(), Flow()]
LINEAR = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
COSINE = {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2"}
# Of nothing but noise, a network's epsilon tells no picture; its velocity does.
SAYS = {"prediction_type": "v_prediction", "timestep_spacing": "trailing"}
BOTH = pytest.mark.parametrize(("schedule", "theirs"), [(LinearSchedule(), LINEAR), (CosineSchedule(), COSINE)])


@BOTH
def test_schedules_are_diffusers(schedule, theirs):
    kept = diffusers.DDPMScheduler(**theirs).alphas_cumprod
    torch.testing.assert_close((schedule.signal() ** 2).float(), kept, rtol=0, atol=1e-6)
    assert torch.allclose(schedule.signal() ** 2 + schedule.noise() ** 2, torch.ones(1000, dtype=torch.float64))


def said(x, place):
    """A network, as far as a solver knows."""
    return torch.sin(2 * x + place / 300)


def ours(solver, schedule, x, count, objective=Velocity(), draw=torch.empty):
    path = schedule.path(count)

    def thought(x, i):
        return objective.clean(said(x, path.places[i]), x, path.signal[i], path.noise[i])

    return list(solver.steps(thought, x, path, draw))


def their(scheduler, schedule, x, count, generator=None):
    scheduler.alphas_cumprod = schedule.signal() ** 2  # the same as theirs, not rounded to float32
    scheduler.set_timesteps(count)
    found = []
    for time in scheduler.timesteps:
        given = {} if generator is None else {"generator": generator}
        x = scheduler.step(said(x, float(time)), time, x, **given).prev_sample
        found.append(x)
    return found


START = torch.randn(4, 2, 3, 3, generator=keyed.generator(1), dtype=torch.float64)


@BOTH
@pytest.mark.parametrize("count", [10, 50])
def test_ddim_is_diffusers(schedule, theirs, count):
    scheduler = diffusers.DDIMScheduler(**theirs, clip_sample=False, **SAYS)
    for a, b in zip(ours(DDIM(), schedule, START, count), their(scheduler, schedule, START, count), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@BOTH
def test_the_ancestral_way_is_diffusers(schedule, theirs):
    scheduler = diffusers.DDPMScheduler(**theirs, clip_sample=False, **SAYS)
    generator = torch.Generator().manual_seed(5)
    again = torch.Generator().manual_seed(5)
    found = ours(
        ancestral(), schedule, START, 50, draw=lambda i: torch.randn(START.shape, generator=again, dtype=torch.float64)
    )
    for a, b in zip(found, their(scheduler, schedule, START, 50, generator), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@BOTH
@pytest.mark.parametrize("count", [10, 50])
def test_dpm_solver_is_diffusers(schedule, theirs, count):
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **theirs, **SAYS, final_sigmas_type="zero", algorithm_type="dpmsolver++"
    )
    # Theirs rounds each step's noise to float32, so that the steps' errors of 1e-7 add up.
    for a, b in zip(ours(DPMSolver(), schedule, START, count), their(scheduler, schedule, START, count), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-5)


def test_heun_is_diffusers():
    """They hold x/signal, so that what goes in and comes out is scaled; the first of two looks gives no step."""
    schedule = LinearSchedule()
    scheduler = diffusers.HeunDiscreteScheduler(**LINEAR, **SAYS)
    scheduler.set_timesteps(20)
    path = schedule.path(20)
    x = START / path.signal[0]
    for time in scheduler.timesteps:
        out = said(scheduler.scale_model_input(x, time).double(), float(time))
        x = scheduler.step(out, time, x).prev_sample
    torch.testing.assert_close(ours(Heun(0.0), schedule, START, 20)[-1], x, rtol=1e-6, atol=1e-6)


def test_flow_is_diffusers():
    def flow(scheduler, x):
        scheduler.set_timesteps(20, **({"sigmas": sigmas} if isinstance(scheduler, euler) else {}))
        for time in scheduler.timesteps:
            x = scheduler.step(said(x, float(time) - 1), time, x).prev_sample.double()
        return x

    euler = diffusers.FlowMatchEulerDiscreteScheduler
    sigmas = StraightSchedule().path(20).noise[:-1]
    found = ours(DDIM(), StraightSchedule(), START, 20, Flow())[-1]
    torch.testing.assert_close(found, flow(euler(), START), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_the_network_says_tells_the_picture(objective):
    clean, epsilon = START, START.flip(0)
    signal, noise = 0.8, 0.6
    x = signal * clean + noise * epsilon
    out = objective.target(clean, epsilon, signal, noise)
    torch.testing.assert_close(objective.clean(out, x, signal, noise), clean)
    wrong = objective.clean(out + 0.1, x, signal, noise) - clean
    torch.testing.assert_close((wrong**2).mean().item(), 0.01 * objective.share(signal, noise))


def test_weights_are_the_papers():
    schedule = CosineSchedule()
    signal, noise = schedule.signal(), schedule.noise()
    ratio = (signal / noise) ** 2
    kept = ratio.clamp(max=5)
    torch.testing.assert_close(MinSNR()(Epsilon(), signal, noise), kept / ratio)
    torch.testing.assert_close(MinSNR()(Velocity(), signal, noise), kept / (ratio + 1))
    torch.testing.assert_close(MinSNR()(Clean(), signal, noise), kept)
    assert (Even()(Flow(), signal, noise) == 1).all()


MIDDLES = torch.tensor([[-1.0, -1.0], [1.0, 0.5], [0.0, 1.5]], dtype=torch.float64)
WIDTH = 0.2


def exact(x, signal, noise):
    """The mean of all pictures that x may have been, where pictures are a mixture of three Gaussians."""
    apart = x[:, None] - signal * MIDDLES
    spread = (signal * WIDTH) ** 2 + noise**2
    share = (-(apart**2).sum(2) / (2 * spread)).softmax(1)
    return (share[..., None] * (MIDDLES + signal * WIDTH**2 / spread * apart)).sum(1)


def way_back(solver, schedule, count, start, draw=torch.empty):
    path = schedule.path(count)
    *_, x = solver.steps(lambda x, i: exact(x, path.signal[i], path.noise[i]), start, path, draw)
    return x


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [CosineSchedule(), LinearSchedule(), StraightSchedule()])
def test_all_solvers_end_at_one_place(schedule):
    start = torch.randn(500, 2, generator=keyed.generator(2), dtype=torch.float64)
    end = way_back(DDIM(), schedule, 1000, start)
    found = {}
    for solver in (DDIM(), DPMSolver(), Heun()):
        for count in (10, 40, 200):
            found[solver, count] = (way_back(solver, schedule, count, start) - end).norm(dim=1).median()
        assert found[solver, 200] < 0.02, solver
        assert found[solver, 200] < found[solver, 10], solver
    assert found[DPMSolver(), 40] < found[DDIM(), 40]


def test_the_ancestral_way_draws_the_density():
    count = 4000
    start = torch.randn(count, 2, generator=keyed.generator(3), dtype=torch.float64)
    x = way_back(
        ancestral(),
        CosineSchedule(),
        250,
        start,
        lambda i: torch.randn(count, 2, generator=keyed.generator(4, i), dtype=torch.float64),
    )
    nearest = torch.cdist(x, MIDDLES).argmin(1)
    for place, middle in enumerate(MIDDLES):
        own = x[nearest == place]
        assert len(own) / count == pytest.approx(1 / 3, abs=0.03)
        torch.testing.assert_close(own.mean(0), middle, rtol=0, atol=0.03)
        torch.testing.assert_close(own.std(0), torch.full((2,), WIDTH, dtype=torch.float64), rtol=0, atol=0.02)


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
    x, time = torch.randn(2, 1, 8, 8), 500
    unled, led, far = (task._said(x, time, a, g) for a, g in ((None, 1.0), (asked, 1.0), (asked, 3.0)))
    torch.testing.assert_close(far, unled + 3 * (led - unled))
    assert not torch.allclose(led, unled)


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


@pytest.mark.parametrize("steps", [50, 1000, 4000])
def test_all_linear_schedules_end_in_noise(steps):
    assert 0.001 < float(LinearSchedule(steps).signal()[-1]) < 0.01


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

"""Schedules and solvers equal diffusers', objectives and weights their formulas; all solvers end where the exact way
ends."""

import diffusers
import pytest
import torch

from descend.functional import keyed
from descend.tasks import (
    DDIM,
    Clean,
    CosineSchedule,
    DPMSolver,
    Epsilon,
    Even,
    Flow,
    Heun,
    LinearSchedule,
    MinSNR,
    StraightSchedule,
    Velocity,
    ancestral,
)

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


@pytest.mark.parametrize("steps", [50, 1000, 4000])
def test_all_linear_schedules_end_in_noise(steps):
    assert 0.001 < float(LinearSchedule(steps).signal()[-1]) < 0.01


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

"""Gradient rules through the engine: equal to their formulas, computed the slow way."""

import copy

import pytest
import torch
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Clock, Compute, Descent, Ranks
from descend.functional import keyed
from descend.losses import cross_entropy
from descend.models import MLP
from descend.optim import SGD, PerSample, Rule, SharpnessAware

LR, STEPS = 0.5, 3
CLIP, NOISE, RHO = 0.3, 0.7, 0.2


def batches() -> list[Batch]:
    generator = keyed.generator(4)
    x = torch.randn(STEPS, 10, 6, generator=generator, dtype=torch.float64)
    target = torch.randint(3, (STEPS, 10), generator=generator)
    return [Batch(x=x[i], target=target[i]) for i in range(STEPS)]


def descended(model: nn.Module, rule: Rule, micro: int = 1) -> list[Tensor]:
    """The parameters after three steps of the engine."""
    descent, clock = Descent(model, SGD(LR, rule=rule)), Clock(seed=11, steps=STEPS)
    descent.attach(Compute(micro=micro), Ranks(), clock)
    for batch in batches():
        descent(lambda part: cross_entropy(model(part["x"]), part["target"]), batch)
        clock.step += 1
    return [p.detach() for p in model.parameters()]


def slope(model: nn.Module, batch: Batch) -> list[Tensor]:
    loss = nn.functional.cross_entropy(model(batch["x"]), batch["target"])
    return list(torch.autograd.grad(loss, list(model.parameters())))


def norm(gradients: list[Tensor]) -> Tensor:
    return torch.cat([g.flatten() for g in gradients]).norm()


def move(model: nn.Module, by: list[Tensor], factor: float) -> None:
    with torch.no_grad():
        for parameter, way in zip(model.parameters(), by, strict=True):
            parameter.add_(way, alpha=factor)


def private(model: nn.Module, noise: float, clipped_before_the_sum: bool = True) -> list[Tensor]:
    """Abadi et al. 2016, algorithm 1, by a loop over samples."""
    for step, batch in enumerate(batches()):
        parts = batch.split(len(batch)) if clipped_before_the_sum else [batch]
        sums = [torch.zeros_like(p) for p in model.parameters()]
        for part in parts:
            own = slope(model, part)
            for total, gradient in zip(sums, own, strict=True):
                total += gradient * min(1.0, CLIP / norm(own).item())
        generator = keyed.generator(11, step, 0x6E6F697365)
        for total in sums:
            total += noise * CLIP * torch.empty_like(total).normal_(generator=generator)
        move(model, sums, -LR / len(parts))
    return [p.detach() for p in model.parameters()]


def sharp(model: nn.Module, rho: float) -> list[Tensor]:
    """Foret et al. 2021, eq. 2 and 3."""
    for batch in batches():
        climb = slope(model, batch)
        worst = copy.deepcopy(model)
        move(worst, climb, rho / norm(climb).item())
        move(model, slope(worst, batch), -LR)
    return [p.detach() for p in model.parameters()]


def far(ours: list[Tensor], theirs: list[Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))


@pytest.fixture
def model() -> nn.Module:
    return MLP(6, 8, out=3).double()


@pytest.mark.parametrize("noise", [0.0, NOISE])
@pytest.mark.parametrize("micro", [1, 4])
def test_per_sample_clipping_equals_a_loop_over_samples(model, noise, micro):
    looped = private(copy.deepcopy(model), noise)
    assert far(descended(model, PerSample(CLIP, noise), micro), looped) < 1e-9


def test_clipping_the_mean_shows(model):
    mistaken = private(copy.deepcopy(model), 0.0, clipped_before_the_sum=False)
    assert far(descended(model, PerSample(CLIP)), mistaken) > 1e-3


def test_other_noise_shows(model):
    looped = private(copy.deepcopy(model), 0.9 * NOISE)
    assert far(descended(model, PerSample(CLIP, NOISE)), looped) > 1e-3


@pytest.mark.parametrize("micro", [1, 4])
def test_sharpness_aware_equals_its_formula(model, micro):
    expected = sharp(copy.deepcopy(model), RHO)
    assert far(descended(model, SharpnessAware(RHO), micro), expected) < 1e-9


def test_a_climb_that_is_not_made_shows(model):
    assert far(descended(model, SharpnessAware(RHO)), sharp(copy.deepcopy(model), 0.0)) > 1e-3

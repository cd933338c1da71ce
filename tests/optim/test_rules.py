"""Gradient rules against their papers' formulas, on passes that need no engine."""

import pytest
import torch
from torch import Tensor, nn

from descend.optim import Passes, PerSample, Plain, SharpnessAware


class Quadratic:
    """Passes over L = Σ_i ½ ‖A_i w - y_i‖² / n, with a parameter that the loss does not reach."""

    def __init__(self, n: int = 6):
        generator = torch.Generator().manual_seed(1)
        self.a = torch.randn(n, 2, 3, generator=generator)
        self.y = torch.randn(n, 2, generator=generator)
        self.parameters = [nn.Parameter(torch.randn(3, generator=generator)), nn.Parameter(torch.ones(2))]
        self.asked: list[Tensor] = []

    @property
    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(7)

    def each(self) -> Tensor:
        """g_i of the first parameter."""
        w = self.parameters[0].detach()
        return torch.einsum("nij,ni->nj", self.a, self.a @ w - self.y)

    def gradient(self):
        self.asked.append(self.parameters[0].detach().clone())
        return [self.each().mean(0), None], {"loss": len(self.asked)}

    def per_sample(self, clip):
        g = self.each()
        factors = clip(g.norm(dim=1))
        return [factors @ g, torch.zeros(2)], len(g), {"loss": 0}


def test_the_fake_offers_what_the_engine_does():
    assert isinstance(Quadratic(), Passes)


def test_plain_hands_the_gradient_on():
    passes = Quadratic()
    gradients, losses = Plain()(passes)
    torch.testing.assert_close(gradients[0], passes.each().mean(0))
    assert gradients[1] is None
    assert losses == {"loss": 1}


@pytest.mark.parametrize("rho", [0.3, 1000.0])
def test_sharpness_aware_takes_the_gradient_uphill_and_returns_to_the_bit(rho):
    passes = Quadratic()
    w = passes.parameters[0].detach().clone()
    first = passes.each().mean(0)
    gradients, losses = SharpnessAware(rho=rho)(passes)
    uphill = w + rho * first / first.norm()
    torch.testing.assert_close(passes.asked[1], uphill)
    expected = torch.einsum("nij,ni->nj", passes.a, passes.a @ uphill - passes.y).mean(0)
    torch.testing.assert_close(gradients[0], expected)
    assert gradients[1] is None
    assert losses == {"loss": 1}, "the loss before the climb"
    assert torch.equal(passes.parameters[0], w)
    assert torch.equal(passes.parameters[1], torch.ones(2))


def test_sharpness_aware_comes_down_when_the_second_pass_fails():
    passes = Quadratic()
    w = passes.parameters[0].detach().clone()
    honest = passes.gradient

    def failing():
        if passes.asked:
            raise RuntimeError("out of memory")
        return honest()

    passes.gradient = failing
    with pytest.raises(RuntimeError, match="out of memory"):
        SharpnessAware()(passes)
    assert torch.equal(passes.parameters[0], w)


def test_sharpness_aware_at_a_minimum_is_not_nan():
    passes = Quadratic()
    passes.a.zero_()
    gradients, _ = SharpnessAware()(passes)
    assert torch.equal(gradients[0], torch.zeros(3))


def test_per_sample_clips_each_and_averages():
    passes = Quadratic()
    g = passes.each()
    limit = g.norm(dim=1).median().item()
    expected = sum(one / max(1.0, one.norm().item() / limit) for one in g) / len(g)
    gradients, _ = PerSample(clip=limit)(passes)
    torch.testing.assert_close(gradients[0], expected)
    assert not torch.allclose(gradients[0], g.mean(0)), "something must have been clipped"


def test_per_sample_noise_is_the_generators_and_scaled_by_clip_over_n():
    passes = Quadratic()
    quiet, _ = PerSample(clip=0.5)(passes)
    loud, _ = PerSample(clip=0.5, noise=3.0)(passes)
    again, _ = PerSample(clip=0.5, noise=3.0)(passes)
    generator = torch.Generator().manual_seed(7)
    for before, after, same in zip(quiet, loud, again, strict=True):
        assert torch.equal(after, same)
        noise = torch.empty_like(before).normal_(0.0, 1.0, generator=generator)
        torch.testing.assert_close(after, before + 3.0 * 0.5 * noise / 6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SharpnessAware(rho=0.0), "rho must be above 0, got 0.*Plain"),
        (lambda: PerSample(clip=0.0), "clip must be above 0"),
        (lambda: PerSample(noise=-1.0), "noise must be at least 0"),
    ],
)
def test_out_of_range_is_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()

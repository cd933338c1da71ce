"""VAE: its bounds against a closed form, its parts against torch's own, and what is made of its codes."""

import math

import pytest
import torch
from torch import Tensor, nn

from descend.data import Batch, Loader, PictureCodec, Tensors
from descend.engine import Predictor, evaluate, fit, load
from descend.functional import keyed
from descend.models import MLP, ConvDecoder, ConvEncoder, Decoder, MLPDecoder
from descend.nn import BatchNorm
from descend.optim import EMA, AdamW
from descend.tasks import VAE, Bernoulli, Gaussian

SHAPE, WIDTH, SIGMA = (1, 2, 3), 2, 0.7


class Linear(Decoder):
    """x = A z + b: with normal noise, p(x) and p(z|x) are normal, and known."""

    def __init__(self):
        super().__init__()
        self.width, self.shape = WIDTH, SHAPE
        self.map = nn.Linear(WIDTH, 6)

    def forward(self, code: Tensor) -> Tensor:
        return self.map(code).view(-1, *SHAPE)


class Exact(nn.Module):
    """Means and log variances of the posterior of a `Linear` whose columns are orthogonal; times ``wrong``, of others.

    p(z|x) = N(M⁻¹ Aᵀ(x - b), σ² M⁻¹) with M = AᵀA + σ² (Tipping and Bishop 1999, eq. 8)."""

    def __init__(self, decoder: Linear, wrong: float = 1.0):
        super().__init__()
        a = decoder.map.weight.detach()
        m = a.mT @ a + SIGMA**2 * torch.eye(WIDTH)
        self.b, self.by, self.wrong = decoder.map.bias.detach(), torch.linalg.inv(m) @ a.mT, wrong
        self.variance = SIGMA**2 / m.diagonal()

    def forward(self, x: Tensor) -> Tensor:
        mean = (x.flatten(1) - self.b) @ self.by.mT
        return torch.cat([self.wrong * mean, (self.wrong * self.variance).log().expand_as(mean)], 1)


def linear(wrong=1.0, draws=64):
    keyed.reseed(5)
    decoder = Linear()
    q, _ = torch.linalg.qr(torch.randn(6, WIDTH))
    decoder.map.weight.data = q * torch.tensor([2.0, 0.8])
    task = VAE(Exact(decoder, wrong), decoder, AdamW(1e-3), Gaussian(SIGMA), draws=draws)
    x = decoder(torch.randn(100, WIDTH)).detach() + SIGMA * torch.randn(100, *SHAPE)
    a = decoder.map.weight.detach()
    covariance = a @ a.mT + SIGMA**2 * torch.eye(6)
    exact = torch.distributions.MultivariateNormal(decoder.map.bias.detach(), covariance).log_prob(x.flatten(1))
    return task, x, exact


def bounds(task, x):
    return evaluate(task, Tensors(x=x), batch=70).scores


def test_both_bounds_are_the_likelihood_where_the_posterior_is_exact():
    task, x, exact = linear()
    weights = task.log_weights(x, 3)
    torch.testing.assert_close(weights, exact.expand(3, -1), atol=1e-4, rtol=1e-5)  # of each draw
    found = bounds(task, x)
    assert found["elbo"] == pytest.approx(exact.mean().item(), abs=1e-4)
    assert found["iwae"] == pytest.approx(exact.mean().item(), abs=1e-4)


def test_bounds_lie_below_the_likelihood_and_rise_with_the_draws():
    found = [bounds(*linear(1.5, draws)[:2]) for draws in (1, 4, 16, 64)]
    exact = linear()[2].mean().item()
    assert found[0]["iwae"] == pytest.approx(found[0]["elbo"], abs=1e-4)
    rising = [one["iwae"] for one in found]
    gaps = [exact - bound for bound in rising]
    assert gaps == sorted(gaps, reverse=True)
    assert 0 < gaps[-1] < 0.1 * gaps[0]
    for draws, one in zip((1, 4, 16, 64), found, strict=True):
        # What the ELBO lacks is KL(q ‖ p(z|x)), which is the same for any number of draws.
        assert one["elbo"] == pytest.approx(found[-1]["elbo"], abs=1.5 / draws**0.5)
        assert one["elbo"] <= one["iwae"] + 1e-6


def test_what_the_elbo_lacks_is_the_divergence_from_the_true_posterior():
    task, x, exact = linear(1.5)
    wrong, right = (Exact(task.decoder, factor)(x).chunk(2, 1) for factor in (1.5, 1.0))
    q, p = (torch.distributions.Normal(mean, (log / 2).exp()) for mean, log in (wrong, right))
    expected = exact - torch.distributions.kl_divergence(q, p).sum(1)
    found = task.log_weights(x, 300).mean(0)
    assert found.mean().item() == pytest.approx(expected.mean().item(), abs=0.02)


def test_kl_and_likelihoods_are_those_of_torch():
    task, x, _ = linear(1.3)
    posterior = task.posterior(x)
    q, p = torch.distributions.Normal(posterior.mean, posterior.std), torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(posterior.kl(), torch.distributions.kl_divergence(q, p).sum(1))
    outputs = torch.randn(5, *SHAPE)
    drawn, grey = (torch.rand(5, *SHAPE) < 0.5).float(), torch.rand(5, *SHAPE)
    expected = torch.distributions.Bernoulli(logits=outputs).log_prob(drawn).sum((1, 2, 3))
    torch.testing.assert_close(Bernoulli().log_prob(outputs, drawn), expected)
    expected = torch.distributions.Normal(outputs, 0.3).log_prob(grey).sum((1, 2, 3))
    torch.testing.assert_close(Gaussian(0.3).log_prob(outputs, grey), expected)


def test_the_loss_is_the_negative_elbo_with_the_weight_on_the_kl():
    task, x, _ = linear(1.2)
    keyed.reseed(1)
    losses = task.loss(Batch(x=x))
    task.beta = 4.0
    keyed.reseed(1)
    heavy = task.loss(Batch(x=x))
    torch.testing.assert_close(heavy["kl"].value(), 4 * losses["kl"].value())
    torch.testing.assert_close(heavy["reconstruction"].value(), losses["reconstruction"].value())
    task.beta, total = 1.0, []
    for key in range(100):
        keyed.reseed(key)
        total.append(sum(mean.value() for mean in task.loss(Batch(x=x)).values()))
    assert -torch.stack(total).mean().item() == pytest.approx(bounds(task, x)["elbo"], abs=0.05)


def test_bounds_are_the_same_in_any_batch_every_time():
    task, x, _ = linear(1.4)
    torch.testing.assert_close(task.log_weights(x, 4)[:, 7:9], task.log_weights(x[7:9], 4))
    assert torch.equal(task.log_weights(x, 4), task.log_weights(x, 4))
    assert (task.log_weights(x, 4).diff(dim=0).abs() > 1e-6).all()  # each draw its own


def blobs(n=512, key=3):
    """A square of 4×4 somewhere in 12×12."""
    place = torch.randint(0, 9, (n, 2), generator=keyed.generator(key))
    at = torch.arange(12)
    inside = [(at >= place[:, i, None]) & (at < place[:, i, None] + 4) for i in range(2)]
    return (inside[0][:, None, :, None] & inside[1][:, None, None, :]).float()


def made(width=4, **how):
    keyed.reseed(0)
    return VAE(
        ConvEncoder((1, 12, 12), 2 * width, (8, 16)), ConvDecoder(width, (1, 12, 12), (8, 16)), AdamW(5e-3), **how
    )


@pytest.fixture(scope="module")
def learned():
    task = made(draws=16)
    before = bounds(task, blobs(100, 4))
    fit(task, Loader(Tensors(x=blobs()), 64), steps=200)
    return task, before


@pytest.mark.slow
def test_it_learns(learned):
    task, before = learned
    found = bounds(task, blobs(100, 4))
    assert found["elbo"] > before["elbo"] + 40
    assert found["iwae"] > found["elbo"] + 0.1
    assert 3 < found["kl"] < 40  # log 81 is all that there is to tell
    assert (task.predict(x=blobs(50, 5)).round() == blobs(50, 5)).float().mean() > 0.93


@pytest.mark.slow
def test_samples_are_fixed_by_seed_and_number(learned):
    task, _ = learned
    samples = task.sample(6, seed=1)
    assert samples.shape == (6, 1, 12, 12)
    torch.testing.assert_close(samples[:3], task.sample(3, seed=1))
    assert not torch.allclose(samples, task.sample(6, seed=2), atol=0.1)
    assert 0 <= samples.min() < samples.max() <= 1
    with pytest.raises(ValueError, match="taught no classes"):
        task.sample(2, asked=Batch(target=torch.tensor([0, 1])))


@pytest.mark.slow
def test_a_traversal_moves_one_latent_only(learned):
    task, _ = learned
    x, seen = blobs(1, 9)[0], []
    handle = task.decoder.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    pictures = task.traverse(x, 2, torch.tensor([-2.0, 0.0, 2.0]))
    handle.remove()
    codes = seen[0]
    assert codes[:, 2].tolist() == [-2.0, 0.0, 2.0]
    rest = [0, 1, 3]
    assert torch.equal(codes[:, rest], task.codes(x[None])[:, rest].expand(3, -1))
    assert pictures.shape == (3, 1, 12, 12)
    assert (pictures[0] - pictures[2]).abs().max() > 0.1
    with pytest.raises(ValueError, match="no latent 4: a code has 4, 0 … 3"):
        task.traverse(x, 4, torch.zeros(2))


@pytest.mark.slow
def test_an_interpolation_goes_from_one_to_the_other(learned):
    task, _ = learned
    first, second = blobs(2, 10)
    path = task.interpolate(first, second, 5)
    ends = task.predict(x=torch.stack([first, second]))
    torch.testing.assert_close(path[[0, -1]], ends)
    middle = task.decoded(task.codes(torch.stack([first, second])).mean(0, keepdim=True))
    torch.testing.assert_close(path[2:3], middle)


@pytest.mark.slow
def test_a_weight_above_one_makes_codes_cheaper():
    plain, heavy = made(), made(beta=8.0)
    for task in (plain, heavy):
        fit(task, Loader(Tensors(x=blobs()), 64), steps=80)
    assert bounds(heavy, blobs(100, 4))["kl"] < bounds(plain, blobs(100, 4))["kl"] - 1


def test_it_travels(tmp_path):
    for likelihood in (Bernoulli(), Gaussian(0.2)):
        task = made(likelihood=likelihood, beta=2.0).eval()
        again = load(Predictor(task, PictureCodec(12, 12, 1)).save(tmp_path / type(likelihood).__name__))
        assert again.task.likelihood == likelihood
        assert torch.equal(again.task.sample(2), task.sample(2))
        assert {"png", "width", "height"} == set(again.predict(blobs(1)[0]))


def test_averaged_weights_are_evaluated_and_the_others_go_on():
    keyed.reseed(0)
    task = VAE(MLP(144, 8, out=4), MLPDecoder(2, 8, shape=(1, 12, 12)), AdamW(1e-2, average=EMA(0.9)))
    for _ in range(5):
        task.step(Batch(x=blobs(32)))
    live = {name: value.clone() for name, value in task.state_dict().items()}
    scores = bounds(task, blobs(20))
    assert all(torch.equal(value, live[name]) for name, value in task.state_dict().items())
    with task.averaged():
        averaged = task.log_weights(blobs(20), task.draws).mean()
    assert scores["elbo"] == pytest.approx(averaged.item(), abs=1e-3)
    assert task.log_weights(blobs(20), task.draws).mean() != pytest.approx(averaged.item(), abs=1e-3)


def test_what_does_not_fit_is_refused():
    task = made()
    with pytest.raises(ValueError, match=r"1×28×28 .* made for 1×12×12"):
        task.predict(x=torch.rand(2, 1, 28, 28))
    with pytest.raises(ValueError, match=r"encoder gives 5 numbers, and the decoder takes 4: .* 8, means"):
        VAE(ConvEncoder((1, 12, 12), 5), ConvDecoder(4, (1, 12, 12)), AdamW(1e-3)).predict(x=blobs(2))
    with pytest.raises(ValueError, match="sigma is 0: it must be above 0"):
        Gaussian(0)
    normed = VAE(
        MLP(144, 8, out=4, norm=BatchNorm(axes=0)), MLPDecoder(2, 8, shape=(1, 12, 12)), AdamW(1e-3), Bernoulli()
    )
    with pytest.raises(ValueError, match=r"one picture has no statistics, which encoder.* BatchNorm1d"):
        normed.loss(Batch(x=blobs(1)))
    assert math.isfinite(sum(float(mean.value().detach()) for mean in normed.eval().loss(Batch(x=blobs(1))).values()))
    assert normed.train().loss(Batch(x=blobs(2)))["kl"].value().isfinite()

"""Diffusion on codes: the autoencoder stays as it is, codes have a spread of 1, and pictures come out."""

import pytest
import torch

from descend.data import Loader, Tensors
from descend.engine import Compute, Observer, Predictor, fit, load
from descend.functional import keyed
from descend.models import ConvDecoder, ConvEncoder, DenoisingUNet, MapDecoder, MapEncoder
from descend.optim import AdamW
from descend.tasks import VAE, Diffusion, Gaussian, LatentSpace, PixelSpace, Way

SHAPE = (1, 8, 8)


def autoencoder():
    torch.manual_seed(1)
    return VAE(MapEncoder(SHAPE, 4, (8,)), MapDecoder(2, SHAPE, (8,)), AdamW(1e-2), Gaussian(0.1))


def blobs(count=64):
    x = torch.zeros(count, *SHAPE)
    for row, place in enumerate(torch.randint(2, 6, (count, 2), generator=keyed.generator(1)).tolist()):
        x[row, 0, place[0] - 2 : place[0] + 2, place[1] - 2 : place[1] + 2] = 1
    return x


@pytest.fixture(scope="module")
def learned():
    vae = autoencoder()
    fit(vae, Loader(Tensors(x=blobs()), 32), steps=150)
    return vae.eval()


def test_codes_that_are_maps_are_bounds_too(learned):
    x = blobs(6)
    posterior = learned.posterior(x)
    assert posterior.mean.shape == (6, 2, 4, 4)
    separate = torch.distributions.Normal(posterior.mean, posterior.std)
    exact = torch.distributions.kl_divergence(separate, torch.distributions.Normal(0.0, 1.0)).flatten(1).sum(1)
    torch.testing.assert_close(posterior.kl(), exact)
    weights = learned.log_weights(x, 32)
    assert (weights.logsumexp(0) - torch.tensor(32.0).log() >= weights.mean(0)).all()
    moved = learned.traverse(x[0], 1, torch.tensor([-1.0, 0.0, 1.0]))
    assert moved.shape == (3, *SHAPE)
    assert not torch.equal(moved[0], moved[2])
    ends = learned.interpolate(x[0], x[1], 3)
    torch.testing.assert_close(ends[[0, 2]], learned.decoded(learned.codes(x[:2])))


def test_the_autoencoder_stays_and_its_codes_are_spread(learned, tmp_path):
    space = LatentSpace.of(learned, blobs())
    assert float(space.encode(blobs()).std()) == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(space.decode(space.encode(blobs(4))), learned.decoded(learned.codes(blobs(4))))
    before = {name: value.clone() for name, value in learned.state_dict().items()}
    torch.manual_seed(0)
    task = Diffusion(DenoisingUNet(2, (8,), attention=0), AdamW(1e-3), SHAPE, space=space, way=Way(steps=3))
    fit(task, Loader(Tensors(x=blobs()), 32), steps=5)
    assert all(torch.equal(value, before[name]) for name, value in learned.state_dict().items())
    made = task.sample(3, seed=2)
    assert made.shape == (3, *SHAPE)
    Predictor(task).save(tmp_path / "model")
    again = load(tmp_path / "model").task
    torch.testing.assert_close(again.sample(3, seed=2), made)
    assert task.vary(blobs(2), 0.4).shape == (2, *SHAPE)


@pytest.mark.slow
def test_a_frozen_autoencoder_has_no_rate_and_is_no_hindrance(learned):
    """Ways are tried before the first step, and the validation loss is watched."""
    torch.manual_seed(0)
    task = Diffusion(DenoisingUNet(2, (8,), attention=0), AdamW(1e-3), SHAPE, space=LatentSpace.of(learned, blobs()))
    data, observed = Tensors(x=blobs()), []

    class Watching(Observer):
        def after(self, moment):
            observed.append(moment)

    fit(task, Loader(data, 32), steps=400, valid=data, every=200, compute=Compute(threads=1), observers=[Watching()])
    assert set(observed[-1].logged) == {"samples_per_s", "lr", "train/loss"}
    assert observed[-1].evaluation.scores["loss"] < observed[199].evaluation.scores["loss"]


def test_the_spread_comes_back_with_the_weights(learned):
    def made(spread):
        torch.manual_seed(0)
        return Diffusion(DenoisingUNet(2, (8,)), AdamW(1e-3), SHAPE, space=LatentSpace(learned, spread))

    task, other = made(0.5), made(2.0)
    other.load_state_dict(task.state_dict())
    torch.testing.assert_close(other.sample(2), task.sample(2))


def test_an_autoencoder_that_is_another(learned):
    task = Diffusion(DenoisingUNet(2, (8,)), AdamW(1e-3), (1, 16, 16), space=LatentSpace(learned))
    with pytest.raises(ValueError, match=r"\[1, 16, 16\] are wanted.*makes \[1, 8, 8\]"):
        task.sample(1)
    flat = VAE(ConvEncoder(SHAPE, 4, (8,)), ConvDecoder(2, SHAPE, (8,)), AdamW(1e-3))
    with pytest.raises(ValueError, match="noise is added to maps"):
        LatentSpace(flat)
    filled = Diffusion(DenoisingUNet(2, (8,)), AdamW(1e-3), SHAPE, space=LatentSpace(learned))
    with pytest.raises(ValueError, match="holes are filled among pixels"):
        filled.inpaint(blobs(1), torch.ones(1, 1, 8, 8, dtype=torch.bool))


def test_pixels_lie_around_zero():
    space = PixelSpace()
    x = torch.rand(2, 3, 4, 4)
    assert space.shape((3, 4, 4)) == (3, 4, 4)
    torch.testing.assert_close(space(torch.tensor([[[[0.0, 1.0]]]])), torch.tensor([[[[-1.0, 1.0]]]]))
    torch.testing.assert_close(space.decode(space.encode(x)), x)
    beyond = torch.tensor([[[[-3.0, 3.0]]]])
    torch.testing.assert_close(space.decode(beyond), torch.tensor([[[[0.0, 1.0]]]]))

"""Autoencode: what it is taught against, what it leaves of a code, and that a linear one finds principal components."""

import pytest
import torch

from descend.data import Batch, Loader, Noise, PictureCodec, Tensors
from descend.engine import Predictor, evaluate, fit, load
from descend.functional import keyed
from descend.losses import mae
from descend.models import MLP, ConvDecoder, ConvEncoder, MLPDecoder
from descend.nn import BatchNorm
from descend.optim import AdamW, Cosine
from descend.tasks import Autoencode

SHAPE = (1, 8, 8)


def waves(n=256, key=3):
    """Of any direction, 0 … 1."""
    draw = torch.rand(n, 2, generator=keyed.generator(key))
    at, angle = torch.arange(8).float(), 6 * draw[:, 0, None, None]
    wave = torch.sin(0.8 * (angle.cos() * at[:, None] + angle.sin() * at) + 6 * draw[:, 1, None, None])
    return (0.5 + 0.4 * wave)[:, None]


def plain(width=6, **how):
    keyed.reseed(0)
    return Autoencode(MLP(64, 32, out=width), MLPDecoder(width, 32, shape=SHAPE), AdamW(5e-3), **how)


@pytest.mark.slow
def test_a_linear_one_finds_the_principal_components():
    """Its error is that of as many components (Baldi and Hornik 1989)."""
    keyed.reseed(0)
    x = waves()
    task = Autoencode(MLP(64, out=4), MLPDecoder(4, shape=SHAPE), AdamW(3e-2, weight_decay=0.0, schedule=Cosine()))
    fit(task, Loader(Tensors(x=x), 256), steps=600)
    rows = x.flatten(1) - x.flatten(1).mean(0)
    least = torch.linalg.svdvals(rows)[4:].square().sum() / rows.numel()
    found = evaluate(task, Tensors(x=x)).scores["loss"]
    assert least <= found + 1e-7
    assert found == pytest.approx(least.item(), rel=0.02)


@pytest.mark.slow
def test_convolutions_learn_and_are_scored_by_hand():
    keyed.reseed(0)
    task = Autoencode(ConvEncoder(SHAPE, 6, (8, 16)), ConvDecoder(6, SHAPE, (8, 16)), AdamW(5e-3))
    test = Tensors(x=waves(40, 4))
    before = evaluate(task, test).scores
    fit(task, Loader(Tensors(x=waves()), 64), steps=150)
    found = evaluate(task, test, batch=7).scores
    assert set(found) == {"psnr", "loss"}
    assert found["loss"] < 0.2 * before["loss"]
    outputs = task.predict(x=test.tensors["x"])
    errors = (task(test.tensors["x"]) - test.tensors["x"]).square().mean((1, 2, 3))
    assert found["loss"] == pytest.approx(errors.mean().item(), rel=1e-4)
    clamped = (outputs - test.tensors["x"]).square().mean((1, 2, 3))
    assert found["psnr"] == pytest.approx((-10 * clamped.log10()).mean().item(), rel=1e-4)


def test_it_is_taught_against_a_target_that_is_a_picture_and_else_against_what_is_given():
    task, x = plain(), waves(4)
    noisy = Noise(50)(Batch(x=x), keyed.hashed(torch.arange(4)))
    outputs = task(noisy["x"])
    torch.testing.assert_close(task.loss(noisy).value(), (outputs - x).square().mean())
    torch.testing.assert_close(task.loss(Batch(x=x)).value(), (task(x) - x).square().mean())
    classes = Batch(x=x, target=torch.arange(4))
    torch.testing.assert_close(task.loss(classes).value(), task.loss(Batch(x=x)).value())
    torch.testing.assert_close(plain(criterion=mae).loss(Batch(x=x)).value(), (plain()(x) - x).abs().mean())


@pytest.mark.slow
def test_noise_is_taken_out():
    keyed.reseed(0)
    task, noise = plain(), Noise(50)
    fit(task, Loader(Tensors(x=waves()), 64, augment=noise), steps=200)
    test = noise(Batch(x=waves(60, 5)), keyed.hashed(torch.arange(60), 9))
    error = (task.predict(x=test["x"]) - test["target"]).square().mean()
    assert error < 0.4 * (test["x"] - test["target"]).square().mean()


@pytest.mark.slow
def test_sparsity_is_the_mean_absolute_number_and_makes_codes_sparse():
    x, near = waves(), {}
    losses = plain(sparsity=0.3).loss(Batch(x=x))
    torch.testing.assert_close(losses["sparsity"].value(), 0.3 * plain().code(x).abs().mean())
    for sparsity in (0.0, 0.2):
        task = plain(24, sparsity=sparsity)
        fit(task, Loader(Tensors(x=x), 64), steps=150)
        code = task.code(x).detach().abs()
        near[sparsity] = (code < 0.1 * code.max()).float().mean()
        assert evaluate(task, Tensors(x=x)).scores["loss"] < 0.05  # the criterion alone
    assert near[0.2] > near[0.0] + 0.08


def test_it_travels(tmp_path):
    task = Autoencode(ConvEncoder(SHAPE, 5), ConvDecoder(5, SHAPE), AdamW(1e-3), mae, 0.1).eval()
    again = load(Predictor(task, PictureCodec(8, 8, 1)).save(tmp_path / "model"))
    assert torch.equal(again.task.predict(x=waves(2)), task.predict(x=waves(2)))
    assert (again.task.criterion, again.task.sparsity) == (mae, 0.1)
    assert {"png", "width", "height"} == set(again.predict(waves(1)[0]))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"1×9×8 .* made for 1×8×8: scale them, as PictureCodec\(8, 8, 1\)"):
        plain().loss(Batch(x=torch.rand(2, 1, 9, 8)))
    encoder = MLP(64, 8, out=4, norm=BatchNorm(axes=0))
    with pytest.raises(ValueError, match="a batch of one picture has no statistics"):
        Autoencode(encoder, MLPDecoder(4, shape=SHAPE), AdamW(1e-3)).loss(Batch(x=waves(1)))

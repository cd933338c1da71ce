"""VQ: its bound by hand, what its descent and its codebook each move, and what its prior makes."""

import itertools
import math

import pytest
import torch

from descend.data import Batch, Loader, PictureCodec, Tensors
from descend.engine import Compute, Predictor, evaluate, fit, load
from descend.functional import keyed
from descend.models import GPT, Codebook, MapDecoder, MapEncoder
from descend.nn import LearnedPositions
from descend.optim import EMA, AdamW
from descend.tasks import VQ, Gaussian
from tests.tasks.generative.test_vae import blobs

SHAPE, PLACES = (1, 12, 12), 9


def made(entries=8, average=None, **how):
    keyed.reseed(0)
    return VQ(
        MapEncoder(SHAPE, 4, (8, 16)),
        Codebook(entries, 4, decay=0.9),
        MapDecoder(4, SHAPE, (8, 16)),
        GPT(entries + 1, 16, 2, 1, LearnedPositions(PLACES, 16)),
        AdamW(5e-3, average=average),
        **how,
    )


@pytest.fixture(scope="module")
def learned():
    task = made()
    before = evaluate(task, Tensors(x=blobs(100, 4))).scores
    fit(task, Loader(Tensors(x=blobs()), 64), steps=250)
    return task, before


@pytest.mark.slow
def test_it_learns(learned):
    task, before = learned
    found = evaluate(task, Tensors(x=blobs(100, 4)), batch=30).scores
    assert set(found) == {"elbo", "rate"}
    assert found["elbo"] > before["elbo"] + 40
    assert found["rate"] < PLACES * math.log(8) - 4  # cheaper than codes drawn alike
    assert (task.predict(x=blobs(50, 5)).round() == blobs(50, 5)).float().mean() > 0.93
    assert len(task.codes(blobs(100, 4)).unique()) >= 5


def test_the_nearest_entry_is_found_in_float32():
    """Else what is learned from would not be what the codebook follows."""
    task, x = made(), blobs(64)
    maps = task.maps(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = task.codebook.codes(maps)
    exact = (maps.movedim(1, -1)[..., None, :].double() - task.codebook.entry.double()).square().sum(-1).argmin(-1)
    assert torch.equal(found, exact)


def test_the_bound_is_that_of_the_one_code():
    task, x = made().eval(), blobs(6)
    codes = task.codes(x)
    outputs = task.decoder(task.codebook.entry[codes].movedim(3, 1))
    drawn = torch.distributions.Bernoulli(logits=outputs).log_prob(x).sum((1, 2, 3))
    rate = torch.zeros(6)
    for row, place in itertools.product(range(6), range(PLACES)):
        tokens = torch.cat([torch.tensor([8]), codes[row].flatten()[:place]])
        rate[row] -= task.prior(tokens[None])[0, -1].log_softmax(0)[codes[row].flatten()[place]]
    found = evaluate(task, Tensors(x=x)).scores
    assert found["rate"] == pytest.approx(rate.mean().item(), rel=1e-5)
    assert found["elbo"] == pytest.approx((drawn - rate).mean().item(), rel=1e-5)
    losses = task.loss(Batch(x=x))
    torch.testing.assert_close(losses["rate"].value(), rate.mean())
    torch.testing.assert_close(losses["reconstruction"].value(), -drawn.mean())
    apart = (task.maps(x) - task.codebook.vectors(codes)).square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(losses["commitment"].value(), 0.25 * apart)


def test_the_prior_is_a_distribution_over_all_grids():
    """With the token that begins left out, no more than 1 in all: the bound is one."""
    task = VQ(
        MapEncoder((1, 4, 8), 2, (4, 4)),
        Codebook(3, 2),
        MapDecoder(2, (1, 4, 8), (4, 4)),
        GPT(4, 8, 2, 1, LearnedPositions(2, 8)),
        AdamW(1e-3),
    )
    grids = torch.tensor(list(itertools.product(range(3), repeat=2))).view(-1, 1, 2)
    assert 0.3 < (-task.rate(grids)).exp().sum() <= 1


def test_each_part_moves_what_is_its_own():
    task, x = made(), blobs(32)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    maps = task.maps(x).detach()
    counts, sums = task.codebook.tally(maps)
    metrics = task.step(Batch(x=x))
    assert set(metrics) == {"loss", "reconstruction", "commitment", "rate"}
    changed = {
        name.partition(".")[0] for name, value in task.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"encoder", "decoder", "prior", "codebook"}
    used = counts > 0
    torch.testing.assert_close(task.codebook.entry[used], (sums[used] / counts[used][:, None]))
    # The codes' rate teaches the prior alone, and the reconstruction no prior.
    for name, moved in (("rate", {"prior"}), ("reconstruction", {"encoder", "decoder"}), ("commitment", {"encoder"})):
        task.zero_grad()
        task.loss(Batch(x=x))[name].value().backward()
        own = {path.partition(".")[0] for path, p in task.named_parameters() if p.grad is not None and p.grad.any()}
        assert own == moved


def test_evaluation_moves_nothing():
    task = made()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    evaluate(task, Tensors(x=blobs(20)))
    task.sample(2)
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())
    assert task.training


def test_averages_hold_the_codebook_with_the_weights():
    task = made(average=EMA(0.9))
    for _ in range(4):
        task.step(Batch(x=blobs(32)))
    live = task.codebook.entry.clone()
    with task.averaged():
        assert not torch.equal(task.codebook.entry, live)
    assert torch.equal(task.codebook.entry, live)


def test_parts_of_a_batch_give_the_same_step():
    """The codebook follows the whole batch, however it is split."""
    states = []
    for micro in (1, 4):
        task = made()
        fit(task, Loader(Tensors(x=blobs(64)), 32), steps=3, compute=Compute("cpu", micro=micro).settled())
        states.append(task.state_dict())
    # What is drawn for unused entries is the same too.
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], atol=2e-4, rtol=1e-3, msg=name)


@pytest.mark.slow
def test_samples_are_fixed_by_seed_and_number_and_look_like_the_data(learned):
    task, _ = learned
    samples = task.sample(40, seed=1)
    assert samples.shape == (40, *SHAPE)
    torch.testing.assert_close(samples[:3], task.sample(3, seed=1), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(samples, task.sample(40, seed=2), atol=0.1)
    areas = samples.round().sum((1, 2, 3))
    assert areas.mean() == pytest.approx(16, abs=5)
    with pytest.raises(ValueError, match="taught no classes"):
        task.sample(2, asked=Batch(target=torch.tensor([0, 1])))


def test_samples_are_drawn_as_the_prior_says():
    """The first code, by its frequency."""
    task, seen = made(), []
    task.prior.logits.weight.data.mul_(30)  # some codes much likelier than others
    handle = task.decoder.register_forward_pre_hook(lambda _, given: seen.append(task.codebook.codes(given[0])))
    task.sample(3000)
    handle.remove()
    with torch.no_grad():
        expected = task.eval().prior(torch.tensor([[8]]))[0, 0, :8].softmax(0)
    found = torch.bincount(seen[0][:, 0, 0], minlength=8) / 3000
    assert expected.max() > 0.2
    torch.testing.assert_close(found, expected, atol=0.04, rtol=0)


def test_it_travels(tmp_path):
    task = made(likelihood=Gaussian(0.3), commitment=0.5)
    task.step(Batch(x=blobs(32)))
    again = load(Predictor(task.eval(), PictureCodec(12, 12, 1)).save(tmp_path / "model"))
    assert (again.task.likelihood, again.task.commitment) == (Gaussian(0.3), 0.5)
    assert torch.equal(again.task.sample(2), task.sample(2))
    assert {"png", "width", "height"} == set(again.predict(blobs(1)[0]))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"1×28×28 .* made for 1×12×12"):
        made().predict(x=torch.rand(2, 1, 28, 28))
    encoder, decoder, prior = MapEncoder(SHAPE, 4), MapDecoder(4, SHAPE), GPT(9, 8, 2, 1, LearnedPositions(9, 8))
    with pytest.raises(ValueError, match=r"the prior knows 9 tokens, .* 9 codes of 5: GPT\(6, …, LearnedPositions\(9"):
        VQ(encoder, Codebook(5, 4), decoder, prior, AdamW(1e-3))
    with pytest.raises(ValueError, match="4 channels, the codebook's entries 3 numbers"):
        VQ(encoder, Codebook(8, 3), decoder, prior, AdamW(1e-3))

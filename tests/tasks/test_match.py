"""Matching: its loss is the paper's, a picture finds its caption, and what is frozen stays."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from descend.data import Batch, Loader, Tensors
from descend.engine import Predictor, evaluate, fit, load
from descend.functional import keyed
from descend.metrics import Retrieval, ranks_among
from descend.models import BERT, MLP, CaptionEncoder
from descend.optim import AdamW
from descend.tasks import Contrast, Match


def made(encoder=None, candidates=20):
    keyed.reseed(3)
    return Match(MLP(12, 32, out=8), CaptionEncoder(8, 8, 16, encoder), Contrast(), AdamW(1e-2), candidates)


def encoder():
    keyed.reseed(4)
    return BERT(11, 8, 2, 1, 6)


def pairs(count=120, key=0):
    """Captions of three words, and pictures that show the words' numbers."""
    tokens = torch.randint(1, 11, (count, 3), generator=keyed.generator(key))
    shown = nn.functional.one_hot(tokens, 11).sum(1).float() @ torch.randn(11, 12, generator=keyed.generator(9))
    return {"x": shown.view(-1, 3, 2, 2), "tokens": tokens, "kept": torch.ones_like(tokens, dtype=torch.bool)}


def test_the_loss_is_the_papers_formula():
    a, b = (functional.normalize(torch.randn(7, 5, dtype=torch.float64), dim=1).requires_grad_() for _ in range(2))
    learn = Contrast(0.2).double()
    loss = learn(a, b)
    assert loss.coupled
    with torch.no_grad():
        scores = a @ b.mT / 0.2
        rows, columns = (scores.diagonal() - scores.logsumexp(axis) for axis in (1, 0))
        expected = -(rows.sum() + columns.sum()) / 2 / 7
    assert loss.value().item() == pytest.approx(expected.item(), rel=1e-6)
    loss.value().backward()
    assert a.grad.abs().sum() > 0 < b.grad.abs().sum()
    assert learn.scale.grad != 0


def test_the_scale_is_bounded():
    learn, a = Contrast(), functional.normalize(torch.randn(3, 5), dim=1)
    with torch.no_grad():
        learn.scale.fill_(50.0)
        high = learn(a, a).value()
        learn.scale.fill_(math.log(100))
        assert high == learn(a, a).value()
    with pytest.raises(ValueError, match="batches of 2 or more"):
        learn(a[:1], a[:1])
    with pytest.raises(ValueError, match="batches of 2 or more"):
        made().loss(Batch(pairs(1)))


def test_ranks_are_counted_among_as_many_as_are_said():
    scores = torch.randn(50, 50, generator=keyed.generator(1))
    own = torch.arange(50)
    ranks = ranks_among(scores, own, 50, groups=2)
    expected = (scores > scores.diagonal()[:, None]).sum(1)
    assert torch.equal(ranks, torch.stack([expected, expected]).to(ranks))
    few = ranks_among(scores, own, 10, groups=200)
    assert few.max() <= 9
    # Among ten the own column's place is drawn without choice: 9 of the 49 others, on average.
    torch.testing.assert_close(few.mean(0), expected * 9 / 49, atol=0.45, rtol=0)
    assert (few < 1).float().mean() == pytest.approx(0.1, abs=0.06)


def test_who_says_the_same_of_all_finds_nothing_and_equal_captions_are_one():
    metric = Retrieval(100)
    metric.update(torch.ones(150, 3), torch.ones(150, 3))
    assert metric.compute() == 0
    points = functional.normalize(torch.randn(30, 8), dim=1).repeat(2, 1)
    metric = Retrieval(100)
    metric.update(points[:20], points[:20])
    metric.update(points[20:], points[20:])
    assert metric.compute() == 1


@pytest.mark.slow
def test_a_picture_finds_its_caption_and_the_encoder_stays(tmp_path):
    """Captions that were never seen, of words that were; the encoder reads them itself."""
    task = made(encoder())
    before = {name: value.clone() for name, value in task.texts.encoder.state_dict().items()}
    asked = Tensors(**pairs(60, key=1))
    low = evaluate(task, asked).scores
    fit(task, Loader(Tensors(**pairs(400)), 50), steps=300)
    high = evaluate(task, asked).scores
    assert low["retrieval"] < 0.25
    assert high["retrieval"] > 0.6
    assert high["retrieval10"] > high["retrieval"]
    assert all(torch.equal(value, before[name]) for name, value in task.texts.encoder.state_dict().items())
    assert not any(name.startswith("1.reader") for name in task.descent.state_dict()["optimizer"])
    Predictor(task).save(tmp_path / "model")
    again, batch = load(tmp_path / "model").task, pairs(5, key=2)
    torch.testing.assert_close(again.predict(**batch), task.eval().predict(**batch))


def test_words_that_were_read_already_are_the_same():
    task, given = made(encoder()).eval(), pairs(6)
    with torch.no_grad():
        words = task.texts.encoder(given["tokens"], given["kept"])
    said = Batch(x=given["x"], words=words, kept=given["kept"])
    assert torch.equal(task.loss(said).value(), task.loss(Batch(given)).value())


def test_what_cannot_be_read_is_said():
    task, given = made(), pairs(6)
    with pytest.raises(ValueError, match=r"give words, and which of them are kept; tokens are read where .* encoder="):
        task(**given)
    with pytest.raises(ValueError, match="of a caption kept was given: give words or tokens"):
        made(encoder())(x=given["x"], kept=given["kept"])

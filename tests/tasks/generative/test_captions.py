"""Diffusion that captions ask: a frozen encoder goes with the model, and what is asked for is shown."""

import pytest
import torch

from descend.data import Batch, Loader, Tensors
from descend.engine import Predictor, fit, load
from descend.functional import keyed
from descend.models import BERT, CaptionCondition, DenoisingUNet
from descend.optim import AdamW
from descend.tasks import Diffusion, Way

RED, DARK = 3, 5
"""Words: which half is bright, and how bright it is."""


def made(encoder=True):
    keyed.reseed(2)
    network = DenoisingUNet(1, (8, 16), context_width=32)
    condition = CaptionCondition(8, 32, BERT(11, 8, 2, 1, 6) if encoder else None)
    return Diffusion(network, AdamW(4e-3), (1, 4, 4), condition, way=Way(steps=8, guidance=2.0))


def pictures(count):
    """White where the caption says 3 and black where it says 5, a word that is not kept behind it."""
    said = torch.arange(count) % 2 * (DARK - RED) + RED
    tokens = torch.stack([torch.full((count,), 1), said, torch.full((count,), 9)], 1)
    x = (said == RED).float().view(-1, 1, 1, 1).expand(count, 1, 4, 4).contiguous()
    return {"x": x, "tokens": tokens, "kept": torch.tensor([[True, True, False]]).expand(count, 3).contiguous()}


@pytest.mark.slow
def test_it_makes_what_is_asked_for_and_answers_texts_when_loaded(tmp_path):
    task = made()
    before = {name: value.clone() for name, value in task.condition.encoder.state_dict().items()}
    fit(task, Loader(Tensors(**pictures(64)), 32), steps=250)
    asked = pictures(8)
    given = Batch(tokens=asked["tokens"], kept=asked["kept"])
    made_of = task.sample(8, 0, given)
    bright = made_of.mean((1, 2, 3))
    assert (bright[asked["x"][:, 0, 0, 0] == 1] > 0.7).all()
    assert (bright[asked["x"][:, 0, 0, 0] == 0] < 0.3).all()
    # The encoder is no part of what was moved, and is of the model.
    assert all(torch.equal(value, before[name]) for name, value in task.condition.encoder.state_dict().items())
    moved = task.descent.state_dict()["optimizer"]
    assert any(name.startswith("1.word") for name in moved)
    assert not any("reader" in name for name in moved)
    assert sum("reader" in name for name in task.state_dict()) == len(before)
    Predictor(task).save(tmp_path / "model")
    torch.testing.assert_close(load(tmp_path / "model").task.sample(8, 0, given), made_of)


def test_words_that_were_read_already_are_the_same():
    task, given = made().train(), pictures(6)
    with torch.no_grad():
        words = task.condition.encoder(given["tokens"], given["kept"])
    read = {"words": words, "kept": given["kept"]}
    told = torch.tensor([True, False] * 3)
    for one, other in zip(task.condition(given, told), task.condition(read, told), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(
        task.sample(6, 1, Batch(read)), task.sample(6, 1, Batch({n: given[n] for n in ("tokens", "kept")}))
    )


def test_the_encoder_drops_nothing_while_the_rest_learns():
    task, given = made().train(), pictures(6)
    told = torch.ones(6, dtype=torch.bool)
    assert task.condition.encoder.dropout == 0.1
    assert torch.equal(task.condition(given, told).vector, task.condition(given, told).vector)


def test_what_is_not_told_and_what_is_not_kept_says_nothing():
    condition, given = made().condition, pictures(4)
    silent = condition(given, torch.zeros(4, dtype=torch.bool))
    torch.testing.assert_close(silent.vector, condition.nothing(4).vector)
    told = torch.ones(4, dtype=torch.bool)
    other = {**given, "tokens": given["tokens"].clone()}
    other["tokens"][:, 2] = 4
    torch.testing.assert_close(condition(given, told).vector, condition(other, told).vector)


@pytest.mark.parametrize(
    ("names", "encoder", "message"),
    [
        (("tokens",), True, r"2 pictures of tokens \[2, 3\] were asked for: give tokens, kept"),
        (("tokens", "kept"), False, "give words, kept, a row each"),
        (("x",), True, "give tokens, kept, a row each"),
    ],
)
def test_what_cannot_be_asked_is_said(names, encoder, message):
    with pytest.raises(ValueError, match=message):
        made(encoder).sample(2, 0, Batch({name: pictures(2)[name] for name in names}))

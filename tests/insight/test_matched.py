"""A matcher as judge: who shows what was asked is found, who shows anything scores at chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from descend.data import CaptionCodec, PictureCodec, Splits, Tensors
from descend.data.tokens import words
from descend.engine import Predictor
from descend.functional import keyed
from descend.insight import matched
from descend.insight.judge import beside_real
from descend.models import MLP
from descend.optim import SGD
from descend.tasks import Classify, Contrast, Match
from descend.tasks.generative import Generative

FIRST, SECOND = ("red", "blue", "old", "new"), tuple(f"thing{number}" for number in range(60))
VOCABULARY = words([" ".join((*FIRST, *SECOND))], least=1)


class Shows(Generative):
    """The picture of each caption that is asked for: its words' numbers in two pixels."""

    shape = (3, 4, 4)

    def sample(self, count, seed=0, asked=None):
        return shown(asked["tokens"])


class Noise(Generative):
    """Anything."""

    shape = (3, 4, 4)

    def sample(self, count, seed=0, asked=None):
        return keyed.normals(keyed.hashed(torch.arange(count), seed), 48).view(count, 3, 4, 4).clamp(0, 1)


class Pixels(nn.Module):
    """What two pixels say."""

    def forward(self, x):
        return points(x[:, 0, 0, :2] * 100)


class Numbers(nn.Module):
    """What two tokens say."""

    def forward(self, words=None, kept=None, tokens=None):
        return points(tokens.float())


def points(numbers):
    table = functional.normalize(torch.randn(100, 16, generator=keyed.generator(3)), dim=1)
    return table[numbers.round().long().clamp(0, 99)].flatten(1)


def shown(tokens):
    x = torch.zeros(len(tokens), 3, 4, 4)
    x[:, 0, 0, :2] = tokens / 100
    return x


@pytest.fixture
def data() -> Splits:
    said = [f"{one} {other}" for one in FIRST for other in SECOND]
    codec = CaptionCodec(VOCABULARY.to_str(), (*FIRST, *SECOND), 4, 4)
    tokens, kept = codec.tokenised(said)
    order = keyed.permutation(len(said), 1)
    rows = [order[:120], order[120:]]
    train, test = (Tensors(x=shown(tokens[row]), tokens=tokens[row], kept=kept[row]) for row in rows)
    return Splits(train, None, test, codec, "things")


@pytest.fixture
def by(data) -> Predictor:
    return Predictor(Match(Pixels(), Numbers(), Contrast(), SGD(0.1)), data.codec)


def test_who_shows_what_was_asked_is_found_and_noise_scores_at_chance(data, by, tmp_path):
    found = matched(Predictor(Shows()), by, data, 120, folder=tmp_path)
    assert found["retrieval"] == found["retrieval10"] == found["retrieval_real"] == 1
    assert (found["candidates"], found["captions"], found["chance"], found["chance10"]) == (100, 120, 0.01, 0.1)
    assert beside_real(found)["retrieval"] == (1, 1)
    samples = np.asarray(Image.open(tmp_path / "samples.png"))
    assert samples.shape[1] == 4 * (2 * 96 + 4 + 8) + 8
    assert samples.min() < 60  # captions are black on white
    assert (tmp_path / "nearest.png").exists()
    noise = matched(Predictor(Noise()), by, data, 120)
    assert noise["retrieval"] < 0.05
    assert noise["retrieval10"] == pytest.approx(0.1, abs=0.08)
    assert noise["retrieval_real"] == 1
    assert noise["nearest"]["distance"] > noise["nearest"]["distance_real"]


def test_the_seed_fixes_all_and_captions_come_again_where_more_is_asked(data, by):
    first, again = (matched(Predictor(Noise()), by, data, 150, seed=2) for _ in range(2))
    assert first == again
    assert first["count"] == 150
    assert matched(Predictor(Shows()), by, data, 250)["retrieval"] == 1


def test_what_does_not_fit_is_said(data, by):
    digits = Predictor(Classify(MLP(48, 8, out=2), SGD(0.1)))
    other = Predictor(by.task, CaptionCodec(VOCABULARY.to_str(), FIRST, 8, 8))
    plain = Splits(data.train, None, data.test, PictureCodec(4, 4), "plain")
    for predictor, judge, splits, count, message in (
        (digits, by, data, 20, "Classify makes no pictures"),
        (Predictor(Shows()), by, plain, 20, "plain holds pictures without captions"),
        (Predictor(Shows()), digits, data, 20, "this one is Classify with NoneType"),
        (Predictor(Shows()), other, data, 20, "reads pictures of 3×8×8 and these are 3×4×4"),
        (Predictor(Shows()), by, data, 5, "count is 5: give 10 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            matched(predictor, judge, splits, count)

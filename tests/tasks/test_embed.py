"""Embed: classes that were never learned are told apart; answers; what cannot be learned from."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, Batch, EmbedCodec, ImageCodec, Loader, Splits, Tensors, Together, datasets
from descend.engine import Compute, Experiment, Predictor, evaluate, fit, load, train
from descend.functional import keyed
from descend.insight import sheet
from descend.models import MLP, ResNet
from descend.nn import GroupNorm
from descend.optim import AdamW
from descend.tasks import ArcFace, Classify, Embed, Triplets, alike, knowing

LEARNED, UNSEEN = 120, 12


def crowd(first, people, each=8):
    """Numbers whose directions are who it is in the first four, and only noise, much larger, in the other eight."""
    draw = keyed.generator(7)
    mixed = torch.linalg.qr(torch.randn(12, 12, generator=draw)).Q
    who = torch.randn(first + people, 4, generator=draw)[first:]
    target = torch.arange(people).repeat_interleave(each)
    noise = torch.randn(people * each, 12, generator=keyed.generator(8, first))
    noise[:, :4] *= 0.1
    noise[:, 4:] *= 3
    noise[:, :4] += who[target]
    return Tensors(x=noise @ mixed, target=target)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["arcface", "triplets"])
def test_people_never_seen_are_told_apart(way):
    learned, unseen = crowd(0, LEARNED), crowd(LEARNED, UNSEEN)
    learn = ArcFace(LEARNED, 8, margin=0.3, scale=16.0) if way == "arcface" else Triplets(0.3)
    task = Embed(MLP(12, 64, out=8), learn, AdamW(2e-2))
    assert evaluate(task, unseen).scores["eer"] > 0.3
    order = True if way == "arcface" else Together(learned.targets())
    fit(task, Loader(learned, 64, order), steps=300, valid=unseen)
    found = evaluate(task, unseen, batch=7)
    assert set(found.scores) == {"eer", "auc", "tar", "rank1"}
    assert found.scores["eer"] < 0.1
    assert found.scores["auc"] > 0.95
    assert found.scores["rank1"] > 0.9
    torch.testing.assert_close(task.predict(x=unseen.tensors["x"]).norm(dim=1), torch.ones(UNSEEN * 8))


def test_centres_are_moved_with_the_model():
    task = Embed(MLP(12, out=8), ArcFace(LEARNED, 8), AdamW(1e-2))
    before = {name: value.clone() for name, value in task.named_parameters()}
    fit(task, Loader(crowd(0, LEARNED), 64), steps=1)
    assert set(before) == {"model.head.weight", "model.head.bias", "learn.centres.weight"}
    assert all((value != before[name]).any() for name, value in task.named_parameters())


def test_triplets_are_not_split_and_arcface_is_the_same_split():
    data = crowd(0, LEARNED)
    task = Embed(MLP(12, out=8), Triplets(), AdamW(1e-2))
    with pytest.raises(ValueError, match="this loss couples the samples of a batch"):
        fit(task, Loader(data, 64), steps=1, compute=Compute("cpu", micro=2).settled())
    weights = []
    for micro in (1, 3):
        keyed.reseed(0)
        task = Embed(MLP(12, 16, out=8), ArcFace(LEARNED, 8), AdamW(1e-2))
        fit(task, Loader(data, 64), steps=3, compute=Compute("cpu", micro=micro).settled())
        weights.append(torch.cat([p.detach().flatten() for p in task.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)


def test_a_validation_split_of_strangers_only_is_refused():
    task = Embed(MLP(12, out=8), Triplets(), AdamW(1e-2))
    with pytest.raises(ValueError, match="no two are of one class: to identify one takes another of it"):
        evaluate(task, crowd(0, 5, each=1))


@pytest.fixture
def gallery(tmp_path):
    """Twelve people, each a level of grey on the left and another on the right, somewhat brighter or darker."""
    draw = np.random.default_rng(0)
    for person in range(12):
        folder = tmp_path / "people" / f"p{person:02d}"
        folder.mkdir(parents=True)
        for number in range(5):
            picture = np.zeros((16, 16), np.float64)
            picture[:, :8], picture[:, 8:] = 30 + 40 * (person % 4), 30 + 60 * (person // 4)
            picture = picture + draw.normal(0, 4, (16, 16))
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "people"


def experiment(folder, epochs=6, **how):
    keyed.reseed(0)
    data = datasets.people(folder, size=16, channels=1, **how)
    task = Embed(ResNet(1, 8, (1,), (8,), GroupNorm(2)), ArcFace(data.classes, 8, scale=16.0), AdamW(1e-2))
    return Experiment(task, data, batch=10, epochs=epochs)


def test_a_trained_network_knows_whom_it_has_seen(gallery, tmp_path):
    made = experiment(gallery)
    result = train(made, tmp_path / "run")
    predictor = load(result.folder)
    codec = predictor.codec
    assert isinstance(codec, EmbedCodec)
    assert set(codec.names) == {f"p{i:02d}" for i in range(12)} - {
        (codec.labels + codec.others)[target] for target in made.data.test.targets().tolist()
    }
    assert len(codec.names) == len(made.data.train) + len(made.data.valid)
    assert -1 < codec.threshold < 1
    person = codec.labels[0]
    answer = predictor.predict(gallery / person / "0.png")
    assert answer["label"] == person
    assert answer["nearest"][0] == [person, pytest.approx(1.0, abs=1e-3)]
    assert json.loads(json.dumps(answer)) == answer
    # the same question of two pictures, known or not
    same = alike(predictor, gallery / person / "0.png", gallery / person / "1.png")
    other = alike(predictor, gallery / person / "0.png", gallery / codec.labels[-1] / "0.png")
    assert same["similarity"] > other["similarity"]
    assert same["alike"] == (same["similarity"] >= same["threshold"])
    assert made.codec.known is not None  # so is the codec that the sheet is drawn with
    picture = Image.open(sheet(made.task, made.codec, made.test, tmp_path / "sheet.png"))
    assert picture.width > 200


def test_others_can_be_made_known(gallery, tmp_path):
    predictor = train(experiment(gallery), tmp_path / "run").predictor
    friends = knowing(predictor, {"anna": [gallery / "p01" / "0.png"], "ben": sorted((gallery / "p10").iterdir())[:3]})
    friends.save(tmp_path / "friends")
    again = load(tmp_path / "friends")
    assert again.codec.names == ("anna", "ben", "ben", "ben")
    assert again.codec.threshold == predictor.codec.threshold
    assert again.predict(gallery / "p01" / "0.png")["label"] == "anna"
    assert again.predict(gallery / "p10" / "0.png")["nearest"][0][0] == "ben"


def test_a_resumed_run_ends_with_the_same_codec(gallery, tmp_path):
    whole = train(experiment(gallery, 3), tmp_path / "whole")
    train(experiment(gallery, 3), tmp_path / "parts", steps=4)
    description = json.loads((tmp_path / "parts" / "run.json").read_text())
    assert description["steps"] == 4
    again = train(experiment(gallery, 3), tmp_path / "parts", resume=True)
    one, other = (load(result.folder).codec for result in (whole, again))
    assert torch.equal(one.known, other.known)
    assert one.threshold == other.threshold


def test_a_picture_smaller_than_the_stride_is_answered(gallery, tmp_path):
    predictor = train(experiment(gallery, 1), tmp_path / "run").predictor
    Image.new("L", (2, 1), 90).save(tmp_path / "tiny.png")
    assert len(predictor.predict(tmp_path / "tiny.png")["nearest"]) == 5
    deep = ResNet(1, 8, (1, 1, 1, 1), (4, 4, 4, 4), GroupNorm(2))  # halves three times
    assert Embed(deep, Triplets(), AdamW(1e-2)).eval()(x=torch.ones(1, 1, 2, 2)).isfinite().all()
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    with pytest.raises(BadData, match=r"torn\.png"):
        predictor.predict(tmp_path / "torn.png")


def test_questions_need_a_codec_that_can_answer():
    classifier = Predictor(Classify(MLP(4, out=2), AdamW(1e-3)), ImageCodec(2, 2, 1))
    with pytest.raises(ValueError, match="the predictor's codec is ImageCodec, not EmbedCodec"):
        alike(classifier, "a.png", "b.png")
    with pytest.raises(ValueError, match="the predictor's codec is ImageCodec"):
        knowing(classifier, {"anna": ["a.png"]})


def test_learned_labels_are_checked_and_others_are_not():
    """Numbers behind the learned classes are people who are only asked."""
    codec = EmbedCodec(2, 2, 1, labels=("a", "b"), others=("c",))
    x = torch.zeros(4, 1, 2, 2)
    seen, unseen = Tensors(x=x, target=torch.tensor([0, 1, 0, 1])), Tensors(x=x, target=torch.tensor([2, 2, 3, 3]))
    assert Splits(seen, unseen, unseen, codec, "few").classes == 2
    with pytest.raises(BadData, match="few: train: 4 labels are out of range"):
        Splits(unseen, seen, seen, codec, "few")


def test_other_codecs_stay_as_they_are():
    codec = ImageCodec(1, 12, 1)
    data = crowd(0, 5)
    assert Embed(MLP(12, out=8), Triplets(), AdamW(1e-2)).complete(codec, Splits(data, data, data, codec, "x")) is codec


def test_embeddings_of_a_data_set_come_in_its_order():
    task, data = Embed(MLP(12, out=8), Triplets(), AdamW(1e-2)), crowd(0, 5)
    embeddings, targets = task.embedded(data, batch=7)
    assert torch.equal(targets, data.targets())
    torch.testing.assert_close(embeddings, task.predict(x=data.tensors["x"]))
    assert task.training
    assert isinstance(task.loss(Batch(data.tensors)).coupled, bool)

"""A judge: real pictures score as real ones, noise far away, and what was learned by heart is found."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import Batch, ImageCodec, PictureCodec, Splits, Tensors
from descend.engine import Predictor
from descend.functional import keyed
from descend.insight import judge
from descend.insight.judge import SHARES, Nearest, _Seen, made_by
from descend.models import MLP, LeNet, Mirrored, resnet20
from descend.optim import SGD
from descend.tasks import Classify
from tests.insight.makers import LABELS, Grey, Shown, judging, pictures

COUNT = 400


@pytest.fixture(scope="module")
def data() -> Splits:
    return pictures()[0]


@pytest.fixture(scope="module")
def unseen() -> dict:
    return pictures()[1].tensors


@pytest.fixture(scope="module")
def by() -> Predictor:
    return judging()


@pytest.mark.slow
def test_real_pictures_score_as_real_ones(data, unseen, by):
    found = judge(Predictor(Shown(unseen["x"], unseen["target"])), by, data, COUNT)
    assert found["judge_accuracy"] > 0.9
    assert found["accuracy"] == pytest.approx(found["judge_accuracy"], abs=0.05)
    assert sum(found["by_class"].values()) / 10 == pytest.approx(found["accuracy"], abs=0.03)
    assert set(found["by_class"]) == set(LABELS)
    # Drawn with replacement, the same picture comes again: their spread is somewhat less.
    assert found["frechet"] == pytest.approx(found["frechet_real"], rel=1)
    for share in SHARES:
        assert found[share] == pytest.approx(found[f"{share}_real"], abs=0.15)
    assert found["nearest"]["distance"] == pytest.approx(found["nearest"]["distance_real"], rel=0.1)


def test_noise_is_far_away(data, by):
    found = judge(Predictor(Grey()), by, data, COUNT)
    assert found["accuracy"] < 0.3
    assert found["frechet"] > 10 * found["frechet_real"]
    assert found["coverage"] < 0.1 < 0.8 < found["coverage_real"]
    assert found["nearest"]["distance"] > 1.5 * found["nearest"]["distance_real"]


def test_one_class_alone_is_good_and_leaves_out_the_rest(data, unseen, by):
    zeros = unseen["x"][unseen["target"] == 0]
    found = judge(Predictor(Shown(zeros)), by, data, COUNT)
    assert "accuracy" not in found  # for a class it cannot be asked
    assert "by_class" not in found
    assert found["judge_accuracy"] > 0.9
    assert found["precision"] > found["precision_real"] - 0.15
    assert found["recall"] < 0.3 < found["recall_real"]
    assert found["coverage"] < 0.3


def test_what_was_learned_by_heart_is_found(data, by):
    train = data.train.tensors
    found = judge(Predictor(Shown(train["x"], train["target"])), by, data, COUNT)
    assert found["nearest"]["distance"] == 0 < found["nearest"]["distance_real"]
    for one in found["nearest"]["shown"]:
        assert one["distance"][0] == 0 < one["distance"][-1]
        assert one["distance"] == sorted(one["distance"])
    # Better than real in all else: only this figure tells.
    assert found["frechet"] < 2 * found["frechet_real"]


def test_the_seed_fixes_all_and_counts_differ(data, unseen, by):
    predictor = Predictor(Shown(unseen["x"], unseen["target"]))
    first, again, other = (judge(predictor, by, data, 50, seed) for seed in (0, 0, 1))
    assert first == again
    assert first["frechet"] != other["frechet"]
    assert first["count"] == 50
    assert first["reference"] == 250


def test_the_classes_asked_for_are_those_of_the_test_split(data, by):
    """A network that keeps a record of what it was asked for."""

    class Recording(Grey):
        def __init__(self):
            super().__init__()
            self.record = []

        def sample(self, count, seed=0, asked=None):
            self.record.append(asked["target"])
            return super().sample(count, seed, asked)

    task, everything = Recording(), len(data.test)
    judge(Predictor(task), by, data, everything)
    told = torch.cat(task.record)
    assert len(told) == everything
    assert torch.equal(told.bincount(), data.test.tensors["target"].bincount())


def test_parts_of_samples_differ():
    """More than go through a network at once are not the same ones again."""
    assert len(made_by(Grey(), 300, 0, None).flatten(1).unique(dim=0)) == 300


def test_sheets(data, unseen, by, tmp_path):
    predictor = Predictor(Shown(data.train.tensors["x"], data.train.tensors["target"]))
    judge(predictor, by, data, 100, folder=tmp_path)
    samples, near = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("samples", "nearest"))
    assert samples.shape == (10 * 104 + 8, 8 * 104 + 8, 3)  # ten classes, eight of each
    assert near.shape == (8 * 104 + 8, 5 * 104 + 8, 3)
    first, second, third = (near[8:104, 8 + 104 * place : 104 + 104 * place] for place in range(3))
    assert (first == second).all()  # learned by heart
    assert (first != third).any()
    judge(Predictor(Shown(unseen["x"])), by, data, 20, folder=tmp_path)
    assert np.asarray(Image.open(tmp_path / "samples.png")).shape == (3 * 104 + 8, 8 * 104 + 8, 3)


@pytest.mark.parametrize(
    "network", [LeNet(1, 10), resnet20(1, 10), Mirrored(resnet20(1, 10)), Mirrored(MLP(784, 5, out=10))]
)
def test_features_are_what_the_head_reads(network):
    """So the head of them is what the judge answers; also of the mean over mirror images."""
    x = torch.rand(6, 1, 28, 28, generator=keyed.generator(0))
    inner = getattr(network, "network", network)
    torch.nn.init.normal_(inner.head.weight)
    by = Predictor(Classify(network, SGD(0.1)), ImageCodec(28, 28, 1, (0.3,), (0.4,)))
    seen = _Seen.of(by, x)
    logits = by.task.eval()(x=(x - 0.3) / 0.4)
    torch.testing.assert_close(inner.head(seen.features), logits, rtol=1e-4, atol=1e-4)
    assert torch.equal(seen.answers, logits.argmax(1))
    assert not inner.head._forward_pre_hooks


def test_the_nearest_of_many_parts(data, unseen, monkeypatch):
    """Training pictures are looked through in parts."""
    whole = Nearest.to(unseen["x"][:20], data.train)
    distances = (unseen["x"][:20].flatten(1)[:, None] - data.train.tensors["x"].flatten(1)).norm(dim=2)
    values, numbers = distances.sort(dim=1, stable=True)
    torch.testing.assert_close(whole.distances, values[:, :4])
    assert torch.equal(whole.numbers, numbers[:, :4])
    monkeypatch.setattr(sys.modules["descend.insight.judge"], "HELD", 137)
    parts = Nearest.to(unseen["x"][:20], data.train)
    torch.testing.assert_close(parts.distances, whole.distances)
    assert torch.equal(parts.numbers, whole.numbers)


def other(by: Predictor, **changed) -> Predictor:
    codec = {"height": 8, "width": 8, "channels": 1, "labels": LABELS} | changed
    return Predictor(by.task, ImageCodec(**codec))


def test_what_cannot_be_judged_is_refused(data, by):
    grey = Predictor(Grey())
    headless = Predictor(Classify(torch.nn.Linear(64, 10), SGD(0.1)), by.codec)
    standard = Splits(data.train, None, data.test, by.codec, "standardised")
    for predictor, judging_, held, count, message in (
        (by, by, data, 20, "Classify makes no pictures"),
        (grey, grey, data, 20, "this one is Grey with NoneType"),
        (grey, other(by, channels=3), data, 20, "reads pictures of 3×8×8 and these are 1×8×8"),
        (grey, other(by, labels=("cat", "dog")), data, 20, "tells cat, dog apart, and these pictures are of zero, one"),
        (grey, by, standard, 20, "standardised holds ImageCodec samples"),
        (grey, by, data, 9, "count is 9: give 10 … 557"),
        (grey, by, data, 558, "count is 558: give 10 … 557"),
        (grey, headless, data, 20, "no linear layer called head"),
    ):
        with pytest.raises(ValueError, match=message):
            judge(predictor, judging_, held, count)


def test_pictures_without_classes_are_judged_by_their_features(data, by):
    plain = [Tensors(x=part.tensors["x"]) for part in (data.train, data.test)]
    found = judge(Predictor(Grey()), by, Splits(*plain[:1], None, plain[1], PictureCodec(8, 8, 1), "plain"), 50)
    assert {"accuracy", "judge_accuracy", "by_class"}.isdisjoint(found)
    assert found["frechet"] > 10 * found["frechet_real"]


def test_asking_is_what_the_base_says():
    from descend.insight import samples

    grey = Grey().train()
    one, two = (samples(grey, count, 3, Batch(target=torch.zeros(count).long())) for count in (5, 9))
    assert torch.equal(one, two[:5])
    assert grey.training

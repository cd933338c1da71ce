"""People are parted by person: nobody who is tested was learned from, whoever has one picture is never asked for."""

import os
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, EmbedCodec, Files, Loader, Tensors, datasets

RNG = np.random.default_rng(0)


def fill(root, counts, size=(12, 10)):
    """A folder a person, whose number is the grey of the pictures."""
    for level, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            noise = RNG.integers(0, 3, size, dtype=np.uint8)
            Image.fromarray(noise + np.uint8(10 * level)).save(root / name / f"{number}.png")


@pytest.fixture
def crowd(tmp_path):
    fill(tmp_path / "crowd", {f"p{i:02d}": 3 + i % 3 for i in range(20)})
    return tmp_path / "crowd"


def parts(data):
    return data.train, data.valid, data.test


def levels(data, part):
    """Whose pictures they are, by their grey."""
    x = part.tensors["x"] * data.codec.std[0] + data.codec.mean[0]
    return (x.mean((1, 2, 3)) * 25.5 - 0.05).round().long()


@pytest.mark.parametrize("key", [0, 1, 2])
def test_nobody_is_in_two_parts(crowd, key):
    with warnings.catch_warnings(action="error"):
        data = datasets.people(crowd, size=8, channels=1, key=key)
    seen = [set(levels(data, part).tolist()) for part in parts(data)]
    assert [len(people) for people in seen] == [14, 3, 3]
    assert set.union(*seen) == set(range(20))
    assert sum(len(part) for part in parts(data)) == sum(3 + i % 3 for i in range(20))
    # numbers and names say who it is, and learned people are numbered first
    names = data.codec.labels + data.codec.others
    for part in parts(data):
        assert [names[target] for target in part.targets()] == [f"p{level:02d}" for level in levels(data, part)]
    assert data.classes == 14
    assert set(data.train.targets().tolist()) == set(range(14))
    assert set(data.valid.targets().tolist()) | set(data.test.targets().tolist()) == set(range(14, 20))


def test_the_split_hangs_on_the_key_alone(crowd):
    first, again, other = (datasets.people(crowd, size=8, key=key) for key in (0, 0, 1))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert isinstance(first.codec, EmbedCodec)
    assert first.codec.labels == again.codec.labels != other.codec.labels


def test_who_has_one_picture_is_named_and_only_learned_from(crowd):
    fill(crowd, {"hermit": 1, "recluse": 1})
    with pytest.warns(UserWarning, match="2 classes of one picture, only learned from: hermit, recluse") as told:
        data = datasets.people(crowd, size=8, channels=1)
    assert len(told) == 1
    assert {"hermit", "recluse"} < set(data.codec.labels)
    assert data.classes == 16
    for part in (data.valid, data.test):
        assert torch.bincount(part.targets())[part.targets()].min() >= 3


def test_broken_files_are_left_out_and_whoever_is_left_with_one_is_not_asked(crowd):
    for file in sorted((crowd / "p00").iterdir())[1:]:
        file.write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"2 files left out: .*p00.*1 class of one picture.*: p00") as told:
        data = datasets.people(crowd, size=8)
    assert len(told) == 1
    assert "p00" in data.codec.labels
    with pytest.raises(BadData, match="2 files cannot be used"):
        datasets.people(crowd, size=8, strict=True)


def test_mean_and_spread_are_the_learned_peoples(crowd):
    data = datasets.people(crowd, size=8, channels=1)
    assert torch.allclose(data.train.tensors["x"].mean(), torch.zeros(()), atol=1e-5)
    assert torch.allclose(data.train.tensors["x"].std(), torch.ones(()), atol=1e-4)


def test_what_does_not_fit_stays_in_files_and_gives_the_same(crowd):
    held, read = datasets.people(crowd, size=8), datasets.people(crowd, size=8, limit=0)
    assert isinstance(held.train, Tensors)
    assert isinstance(read.train, Files)
    for one, other in zip(parts(held), parts(read), strict=True):
        assert torch.equal(one.targets(), other.targets())
        a, b = (Loader(each, 7).batch(0) for each in (one, other))
        assert torch.equal(a["target"], b["target"])
        assert torch.allclose(a["x"], b["x"], atol=1e-4)


def test_few_people_are_enough_if_each_has_two_pictures(tmp_path):
    fill(tmp_path / "six", dict.fromkeys("abcdef", 2))
    data = datasets.people(tmp_path / "six", size=8)
    assert [len(part.targets().unique()) for part in parts(data)] == [2, 2, 2]


def test_what_cannot_work(tmp_path):
    fill(tmp_path / "loners", dict.fromkeys("abcdefgh", 1) | {"twin": 2})
    with (
        pytest.warns(UserWarning, match="8 classes of one picture"),
        pytest.raises(BadData, match="1 of 9 people have two pictures or more; 6 are needed, 2 each to learn from"),
    ):
        datasets.people(tmp_path / "loners", size=8)
    for part in ("train", "test"):
        fill(tmp_path / "given" / part, dict.fromkeys("abcdef", 2))
    with pytest.raises(BadData, match=r"holds train and test, but people are parted here.*PERSON/picture\.jpg"):
        datasets.people(tmp_path / "given", size=8)
    with pytest.raises(BadData, match="there is no folder"):
        datasets.people(tmp_path / "nothing", size=8)


@pytest.mark.skipif(not os.environ.get("DESCEND_DATA"), reason="needs real data")
def test_real_faces():
    data = datasets.orl()
    assert data.shape == (1, 28, 23)
    assert [len(part) for part in parts(data)] == [250, 50, 100]
    assert [part.targets().unique().tolist() for part in parts(data)] == [
        list(range(25)),
        list(range(25, 30)),
        list(range(30, 40)),
    ]
    assert (torch.cat([torch.bincount(part.targets())[-5:] for part in parts(data)]) == 10).all()
    assert set(data.codec.labels + data.codec.others) == {f"s{i}" for i in range(1, 41)}
    assert datasets.orl(height=84, channels=3).shape == (3, 84, 69)
    assert set(datasets.orl(key=1).codec.labels) != set(data.codec.labels)

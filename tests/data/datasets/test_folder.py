"""Folders of pictures: what is good is used, what is odd is named, what cannot work is refused."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, Files, Loader, Tensors, datasets

RNG = np.random.default_rng(0)


def fill(folder, n, level, size=(12, 10), suffix="png"):
    folder.mkdir(parents=True)
    for number in range(n):
        noise = RNG.integers(0, 40, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise + np.uint8(level)).save(folder / f"{number:02d}.{suffix}")


@pytest.fixture
def animals(tmp_path):
    fill(tmp_path / "animals" / "cat", 20, 0)
    fill(tmp_path / "animals" / "dog" / "small", 13, 100)  # at any depth
    fill(tmp_path / "animals" / "dog" / "large", 7, 100, suffix="jpg")
    fill(tmp_path / "animals" / "ant", 10, 200, size=(30, 64))
    return tmp_path / "animals"


def test_a_folder_of_classes(animals):
    with warnings.catch_warnings(action="error"):
        data = datasets.folder(animals, size=8)
    assert data.codec.labels == ("ant", "cat", "dog")
    assert data.shape == (3, 8, 8)
    assert data.features == 192
    assert data.classes == 3
    assert data.name == "animals"
    assert [len(part) for part in (data.train, data.valid, data.test)] == [35, 7, 8]
    assert isinstance(data.train, Tensors)
    for part, each in ((data.train, 7), (data.valid, 1), (data.test, 1)):
        assert torch.bincount(part.tensors["target"]).min() >= each
    # mean and spread are of the training split
    x = data.train.tensors["x"]
    assert torch.allclose(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(x.std((0, 2, 3)), torch.ones(3), atol=1e-5)
    # a file encoded by the codec is the sample
    found = [data.codec.encode(path)["x"] for path in sorted((animals / "ant").iterdir())]
    assert all(any(torch.equal(one, row) for part in _parts(data) for row in part.tensors["x"]) for one in found)


def test_the_split_hangs_on_the_key_alone(animals):
    first, again, other = (datasets.folder(animals, size=8, key=key) for key in (0, 0, 1))
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != other.fingerprint()


def test_what_does_not_fit_stays_in_files_and_gives_the_same(animals):
    held, read = datasets.folder(animals, size=8), datasets.folder(animals, size=8, limit=1000)
    assert isinstance(read.train, Files)
    assert read.codec.mean == pytest.approx(held.codec.mean, rel=1e-5)
    for workers in (0, 2):
        loader = Loader(read.train, 10, workers=workers)
        for step in range(4):
            a, b = Loader(held.train, 10).batch(step), loader.batch(step)
            assert torch.equal(a["target"], b["target"])
            assert torch.allclose(a["x"], b["x"], atol=1e-4)
        loader.close()
    assert isinstance(read.train.in_memory(), Tensors)
    assert read.train.in_memory(limit=100) is read.train


def test_what_is_odd_is_named_in_one_warning_and_the_rest_is_used(animals):
    (animals / "cat" / "notes.txt").write_text("about cats")
    (animals / "cat" / "20.png").write_bytes(b"no picture at all")
    (animals / "dog" / "21.png").write_bytes(b"")
    torn = (animals / "ant" / "00.png").read_bytes()
    (animals / "ant" / "torn.png").write_bytes(torn[: len(torn) // 2])
    whole = (animals / "dog" / "large" / "00.jpg").read_bytes()
    (animals / "dog" / "torn.jpg").write_bytes(whole[: len(whole) // 2])  # its header is good
    (animals / "loose.jpg").write_bytes(whole)
    (animals / "readme.txt").write_text("animals")
    (animals / "newt").mkdir()
    fill(animals / "owl", 1, 50)
    (animals / ".hidden").mkdir()
    (animals / "cat" / ".DS_Store").write_bytes(b"x")
    with pytest.warns(UserWarning, match="left out") as told:
        data = datasets.folder(animals, size=8)
    assert len(told) == 1
    said = str(told[0].message)
    assert "6 files left out: " in said
    assert "loose.jpg lies in no class's folder; " in said
    assert "torn.png" in said
    assert "1 folder without a picture left out: newt" in said
    assert "1 class of one picture, only learned from: owl" in said
    assert data.codec.labels == ("ant", "cat", "dog", "owl")
    assert sum(len(part) for part in _parts(data)) == 51
    assert [int((part.tensors["target"] == 3).sum()) for part in _parts(data)] == [1, 0, 0]


def test_a_torn_picture_of_a_large_folder_is_left_out_too(animals):
    path = animals / "dog" / "large" / "00.jpg"
    Image.fromarray(RNG.integers(0, 256, (100, 100, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.warns(UserWarning, match=r"1 file left out: .*large.00\.jpg is torn or broken"):
        data = datasets.folder(animals, size=8, limit=0)
    assert isinstance(data.train, Files)
    assert sum(len(part) for part in _parts(data)) == 49
    for part in _parts(data):
        Loader(part, 100).batch(0)
    with pytest.raises(BadData, match=r"1 file cannot be used: .*large.00\.jpg"):
        datasets.folder(animals, size=8, limit=0, strict=True)


def test_a_picture_that_breaks_later_is_named_when_it_is_read(animals):
    data = datasets.folder(animals, size=8, limit=0)
    data.train.items[3][0].write_bytes(b"")
    with pytest.raises(BadData, match=f"{data.train.items[3][0].name} is empty"):
        Loader(data.train, 100).batch(0)


def test_thousands_of_good_pictures_among_which_every_kind_of_bad_one_lies(tmp_path):
    """One summary, and the rest is used, in the order of its names whichever thread read it."""
    for level, name in enumerate(("a" * 200, "ß☃")):
        (tmp_path / name).mkdir()
        for number in range(1000):
            Image.new("L", (4, 4), 100 * level + number % 100).save(tmp_path / name / f"{number:04d}.pgm")
    good = (tmp_path / "ß☃" / "0007.pgm").read_bytes()
    bad = {
        "empty.png": b"",
        "torn.pgm": good[:-3],
        "text.jpg": b"a letter",
        "movie.mp4": b"\0\0\0\x18ftypmp42",
        ("long " * 48) + ".png": b"nothing",
    }
    for name, content in bad.items():
        (tmp_path / "ß☃" / name).write_bytes(content)
    frames = [Image.new("L", (4, 4), level) for level in (10, 200)]
    frames[0].save(tmp_path / "ß☃" / "moving.gif", save_all=True, append_images=frames[1:])  # its first frame counts
    Image.new("L", (4, 4), 150).save(tmp_path / "ß☃" / "a png by its content.jpg", format="png")
    with pytest.warns(UserWarning, match="5 files left out: ") as told:
        data = datasets.folder(tmp_path, size=4, channels=1)
    assert len(told) == 1
    assert sum(len(part) for part in _parts(data)) == 2002
    for part in _parts(data):
        grey = part.tensors["x"].mean((1, 2, 3)) * data.codec.std[0] + data.codec.mean[0]
        assert ((grey * 255 >= 99.5) | (part.tensors["target"] == 0) | ((grey * 255 - 10).abs() < 0.5)).all()


def test_a_class_of_bad_files_only_is_no_class(animals):
    (animals / "yeti").mkdir()
    (animals / "yeti" / "0.jpg").write_text("seen from afar")
    (animals / "yeti" / "1.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="without a picture left out: yeti") as told:
        data = datasets.folder(animals, size=8)
    assert len(told) == 1
    assert "2 files left out: " in str(told[0].message)
    assert "0.jpg" in str(told[0].message)
    assert "1.png" in str(told[0].message)
    assert data.codec.labels == ("ant", "cat", "dog")


def test_names_of_any_script(tmp_path):
    root = tmp_path / "Tiere ☃"
    for level, name in enumerate(("Kätzchen", "狗", "птица 1")):
        fill(root / name, 6, 60 * level)
        (root / name / "00.png").rename(root / name / f"{name} é.PNG")
    with warnings.catch_warnings(action="error"):
        data = datasets.folder(root, size=8)
    assert set(data.codec.labels) == {"Kätzchen", "狗", "птица 1"}
    assert data.codec.decode(torch.tensor([0.1, 0.7, 0.2]))["label"] == data.codec.labels[1]
    assert data.name == "Tiere ☃"
    assert sum(len(part) for part in _parts(data)) == 18


def test_a_bomb_among_the_pictures_is_left_out(animals):
    Image.new("1", (12_000, 9_000)).save(animals / "cat" / "bomb.png")
    with pytest.warns(UserWarning, match=r"1 file left out: .*bomb\.png .*decompression bomb"):
        data = datasets.folder(animals, size=8)
    assert sum(len(part) for part in _parts(data)) == 50


def test_mean_and_spread_are_not_of_other_pictures(animals):
    """White validation and test pictures change no number of the codec."""
    data = datasets.folder(animals, size=8, limit=0)
    kept = {str(path) for path, _ in data.train.items}
    for path in [path for part in (data.valid, data.test) for path, _ in part.items]:
        Image.new("RGB", (10, 10), "white").save(path)
    for limit in (None, 0):
        again = datasets.folder(animals, size=8, limit=limit)
        assert again.codec.mean == pytest.approx(data.codec.mean, abs=1e-6)
        assert again.codec.std == pytest.approx(data.codec.std, abs=1e-6)
    for path in kept:
        Image.new("RGB", (10, 10), "white").save(path)
    assert datasets.folder(animals, size=8).codec.mean == (1, 1, 1)


def test_few_pictures_of_many_classes_are_split_too(tmp_path):
    for name in "abcdefghij":
        fill(tmp_path / name, 4, 10)
    data = datasets.folder(tmp_path, size=8, channels=1)
    assert [len(part) for part in _parts(data)] == [28, 6, 6]
    assert torch.bincount(data.train.tensors["target"]).min() >= 2
    assert data.shape == (1, 8, 8)


def test_what_cannot_work(tmp_path):
    with pytest.raises(BadData, match=r"there is no folder .*nothing"):
        datasets.folder(tmp_path / "nothing")
    fill(tmp_path / "flat", 3, 0)
    with (
        pytest.warns(UserWarning, match="3 files left out: .*00.png lies in no class's folder"),
        pytest.raises(BadData, match=r"holds 0 folders with pictures: .*CLASS/picture\.jpg, of two classes at least"),
    ):
        datasets.folder(tmp_path / "flat")
    with pytest.raises(BadData, match="holds 1 folders with pictures"):
        datasets.folder(tmp_path)
    fill(tmp_path / "other", 1, 0)
    with (
        pytest.warns(UserWarning, match="1 class of one picture"),
        pytest.raises(BadData, match=r"4 samples cannot be split 0\.7 / 0\.15 / 0\.15: a part would be empty"),
    ):
        datasets.folder(tmp_path)


def _parts(data):
    return data.train, data.valid, data.test


def test_parts_that_are_given_are_kept(tmp_path):
    for part, many in (("train", 20), ("test", 5)):
        fill(tmp_path / "set" / part / "cat", many, 0)
        fill(tmp_path / "set" / part / "dog", many, 100)
    fill(tmp_path / "set" / "test" / "owl", 2, 200)
    with pytest.warns(UserWarning, match=r"test/owl is of a class that .*train has not"):
        data = datasets.folder(tmp_path / "set", size=8)
    assert data.codec.labels == ("cat", "dog")
    assert [len(part) for part in (data.train, data.valid, data.test)] == [34, 6, 10]
    fill(tmp_path / "set" / "valid" / "dog", 3, 100)
    with warnings.catch_warnings(action="ignore"):
        data = datasets.folder(tmp_path / "set", size=8)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [40, 3, 10]


def test_all_may_be_learned_from(tmp_path, animals):
    data = datasets.folder(animals, size=8, held=0)
    assert data.valid is None
    assert len(data.train) + len(data.test) == 50
    assert len(data.fingerprint()) == 16
    for part in ("train", "test"):
        fill(tmp_path / "set" / part / "cat", 5, 0)
        fill(tmp_path / "set" / part / "dog", 5, 100)
    data = datasets.folder(tmp_path / "set", size=8, held=0)
    assert [len(data.train), data.valid, len(data.test)] == [10, None, 10]
    with pytest.raises(ValueError, match=r"held is 1: give the share"):
        datasets.folder(animals, size=8, held=1)


def test_an_empty_part_is_refused(tmp_path):
    fill(tmp_path / "set" / "train" / "cat", 4, 0)
    fill(tmp_path / "set" / "train" / "dog", 4, 100)
    (tmp_path / "set" / "test").mkdir()
    with pytest.raises(BadData, match=r"set/test holds no picture of a class"):
        datasets.folder(tmp_path / "set", size=8)


def test_strict_leaves_nothing_out(animals):
    datasets.folder(animals, size=8, strict=True)
    (animals / "cat" / "torn.png").write_bytes(b"PNG")
    with pytest.raises(BadData, match=r"1 file cannot be used: .*torn.png is no picture that can be read"):
        datasets.folder(animals, size=8, strict=True)


@pytest.mark.parametrize(("train", "valid", "test"), [("train", "val", "test"), ("Training", "Validation", "TEST")])
def test_parts_are_known_by_any_of_their_names(tmp_path, train, valid, test):
    for part, count in ((train, 6), (valid, 2), (test, 3)):
        for name, level in (("cat", 0), ("dog", 100)):
            fill(tmp_path / part / name, count, level)
    data = datasets.folder(tmp_path, size=8)
    assert data.codec.labels == ("cat", "dog")
    assert [len(part) for part in _parts(data)] == [12, 4, 6]
    fill(tmp_path / "extra" / "cat", 2, 0)
    with pytest.warns(UserWarning, match=rf"extra is no part, as {train} and {valid} and {test} are"):
        datasets.folder(tmp_path, size=8)


def test_a_folder_for_validation_alone_is_refused(tmp_path):
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            fill(tmp_path / part / name, 3, 0)
    with pytest.raises(BadData, match="holds train and val, but no folder test: add it; or call val test"):
        datasets.folder(tmp_path, size=8)


def test_copies_that_programs_hide_are_not_read(animals):
    plain = datasets.folder(animals, size=8).fingerprint()
    fill(animals / "cat" / ".ipynb_checkpoints", 5, 0)
    assert datasets.folder(animals, size=8).fingerprint() == plain

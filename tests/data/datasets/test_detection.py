"""Annotated pictures brought to one size, and scenes made by key: boxes stay around their things."""

import io
import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, Batch, BoxCodec, datasets
from descend.data.datasets.boxes import Boxed
from descend.data.datasets.scenes import Scenes
from descend.functional.boxes import area, common


def picture(path, size, box):
    """Black, with a white box."""
    array = np.zeros((size[1], size[0], 3), np.uint8)
    left, top, right, bottom = box
    array[top:bottom, left:right] = 255
    Image.fromarray(array).save(path)
    return Boxed(path, *size, (tuple(map(float, box)),), ("thing",))


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (80, 20), (20, 15)])
def test_boxes_follow_their_pictures(tmp_path, size):
    """Whatever is scaled and cut: what is white in the tensor is what the box says."""
    box = (size[0] // 2 - 4, size[1] // 2 - 3, size[0] // 2 + 3, size[1] // 2 + 4)
    one = picture(tmp_path / "a.png", size, box)
    codec = BoxCodec(48, 64)
    white = codec.pixels(one.place)[0] > 0.5
    rows, columns = white.any(1).nonzero(), white.any(0).nonzero()
    seen = [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]
    assert codec.boxes(torch.tensor(one.boxes), *size)[0].tolist() == pytest.approx(seen, abs=1)


@pytest.fixture
def parts(tmp_path):
    made = [picture(tmp_path / f"{i}.png", (40, 30), (5 + i, 6, 20 + i, 20)) for i in range(5)]
    return made[:3], made[3:4], made[4:]


def test_splits_of_annotated_pictures(parts):
    with warnings.catch_warnings(action="error"):
        data = datasets.boxed(parts, 30, 40)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [3, 1, 1]
    assert data.codec.labels == ("thing",)
    assert data.train.tensors["boxes"][1, 0].tolist() == [6, 6, 21, 20]
    assert data.train.tensors["target"].tolist() == [[0], [0], [0]]
    assert "boxes" not in Batch(data.train.tensors).inputs


def test_what_is_odd_is_named_once_and_the_rest_is_used(parts, tmp_path):
    train, valid, test = parts
    (tmp_path / "torn.png").write_bytes(b"no picture")
    odd = Boxed(tmp_path / "torn.png", 40, 30, (), ())
    empty = Boxed(train[0].place, 40, 30, (), ())
    strange = Boxed(test[0].place, 40, 30, ((1.0, 1, 9, 9), (5.0, 5, 20, 20)), ("ghost", "thing"))
    gone = Boxed(tmp_path / "nowhere.png", 40, 30, (), ())
    with pytest.warns(UserWarning, match="4 things are odd") as told:
        data = datasets.boxed(([*train, odd, empty], [empty, gone], [strange]), 30, 40)
    assert len(told) == 1
    said = str(told[0].message)
    assert "torn.png" in said
    assert "there is no file" in said
    assert "no validation picture has a box" in said
    assert [len(part) for part in (data.train, data.valid, data.test)] == [4, 1, 1]
    assert data.train.tensors["target"][3].tolist() == [-1]
    assert data.test.tensors["target"].tolist() == [[0]]
    with pytest.raises(BadData, match="none of 1 training pictures has a box: there is nothing to learn"):
        datasets.boxed(([empty], valid, test), 30, 40)
    with pytest.raises(BadData, match=r"no test picture that can be read: .*torn\.png"):
        datasets.boxed((train, valid, [odd]), 30, 40)


def test_answers_have_names_and_places():
    codec = BoxCodec(8, 8, labels=("a", "b"))
    output = torch.tensor([[1.0, 2, 3, 4, 0.9, 1], [0, 0, 1, 1, 0.1, 0], [0, 0, 0, 0, 0, 0]])
    assert codec.decode(output) == {"boxes": [{"label": "b", "confidence": 0.9, "box": [1.0, 2.0, 3.0, 4.0]}]}
    # Twice as high and four times as wide: a quarter is cut on each side; and the same taken with a turned camera.
    wide = Image.new("RGB", (32, 16))
    assert codec.answer(wide, output)["boxes"][0]["box"] == [10.0, 4.0, 14.0, 8.0]
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (16, 32)).save(file, "JPEG", exif=exif)
    assert codec.answer(file.getvalue(), output)["boxes"][0]["box"] == [10.0, 4.0, 14.0, 8.0]
    assert codec.answer(np.zeros((4, 4), np.uint8), output)["boxes"][0]["box"] == [0.5, 1.0, 1.5, 2.0]
    moved = codec.boxes(torch.tensor([[10.0, 4, 14, 8]]), 32, 16)
    torch.testing.assert_close(moved, output[:1, :4])
    sample = {"x": torch.zeros(3, 8, 8), "boxes": torch.tensor([[1.0, 1, 6, 6]])}
    drawn = codec.draw(sample, torch.tensor([0]), output)
    assert drawn.size == (20, 8)


def made(count=20, key=0):
    items = torch.zeros(4, 28, 28, dtype=torch.uint8)
    items[:, 4:24, 8:20] = 250
    draw = np.random.default_rng(0)
    photos = [draw.integers(0, 60, (90, 120, 3), dtype=np.uint8)]
    codec = BoxCodec(64, 80, labels=("a", "b", "c", "d"))
    return Scenes(items, torch.arange(4, dtype=torch.uint8), photos, count, codec, key)


def test_a_scene_depends_on_its_key_and_number_alone():
    one, again, other = made(), made(), made(key=1)
    batch = one.gather(torch.tensor([3, 7]))
    assert batch["x"].shape == (2, 3, 64, 80)
    assert batch["boxes"].shape == (2, 6, 4)
    for name in ("x", "boxes", "target"):
        assert torch.equal(batch[name][1], again.gather(torch.tensor([7]))[name][0])
    assert not torch.equal(batch["x"][0], other.gather(torch.tensor([3]))["x"][0])
    assert one.fingerprint() == again.fingerprint() != other.fingerprint()


def test_boxes_are_tight_around_what_is_to_be_seen():
    scenes = made()
    for number in range(20):
        picture, boxes, kinds = scenes.scene(number)
        assert len(boxes) == len(kinds) >= 1
        bright = torch.from_numpy(picture.max(2)) > 62
        covered = torch.zeros_like(bright)
        for left, top, right, bottom in boxes.int().tolist():
            covered[top:bottom, left:right] = True
            assert bright[top:bottom, left:right].float().mean() > 0.9
        assert not (bright & ~covered).any()


def test_things_keep_apart_and_there_are_as_many_as_said():
    scenes = made()
    for number in range(40):
        _, boxes, kinds = scenes.scene(number)
        assert 2 <= len(kinds) <= 6
        smaller = area(boxes)[:, None].minimum(area(boxes))
        shares = (common(boxes[:, None], boxes) / smaller).fill_diagonal_(0)
        assert shares.max() <= 0.2  # none lies hidden under another


def test_scenes_without_room_are_refused():
    with pytest.raises(ValueError, match="48×48 pixels have no room for things of 56"):
        datasets.scenes(size=48)


def test_boxes_that_were_drawn_on_another_size_are_left_out(parts):
    train, valid, test = parts
    shrunk = replace(train[0], width=80, height=60)
    with pytest.warns(UserWarning, match="it is 40×30, and its boxes were drawn on 80×60"):
        data = datasets.boxed(([shrunk, *train[1:]], valid, test), 30, 40)
    assert len(data.train) == 2
    none = [replace(one, width=0, height=0) for one in train]
    with pytest.raises(BadData, match=r"there is no training picture that can be read: .*drawn on 0×0"):
        datasets.boxed((none, valid, test), 30, 40)


def test_pictures_whose_boxes_are_all_cut_away_are_refused(tmp_path, parts):
    aside = [picture(tmp_path / "aside.png", (200, 20), (0, 5, 9, 15))]
    with pytest.raises(BadData, match="no training picture that can be read has a box"):
        datasets.boxed((aside, parts[1], parts[2]), 20, 20)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("DESCEND_DATA"), reason="needs real data")
def test_real_blood():
    data = datasets.bccd(120, 160)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [205, 87, 72]
    assert data.codec.labels == ("Platelets", "RBC", "WBC")
    target = data.train.tensors["target"]
    assert (target >= 0).sum() > 2500
    assert (target == 1).sum() > 10 * (target == 2).sum()


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("DESCEND_DATA"), reason="needs real data")
def test_real_scenes():
    pytest.importorskip("skimage", exc_type=ModuleNotFoundError)
    data = datasets.scenes(100)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [100, 500, 1000]
    batch = data.train.gather(torch.arange(64))
    assert 2 < (batch["target"] >= 0).sum(1).float().mean() < 5
    assert abs(batch["x"].mean()) < 0.5
    assert 0.7 < batch["x"].std() < 1.3

"""Boxes from VOC, COCO and YOLO: the same things from all three; what is odd is named, what is wrong refused."""

import json
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image

from descend.data import BadData, datasets

THINGS = {"a": [("cat", (2, 3, 12, 13)), ("dog", (0, 0, 20, 10))], "b": []}
ROOM = """<annotation><filename>{name}.png</filename><size><width>20</width><height>16</height></size>{things}
</annotation>"""
THING = """<object><name>{label}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax>
<ymax>{box[3]}</ymax></bndbox></object>"""


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 16)).save(path)


@pytest.fixture
def voc(tmp_path):
    for name in THINGS:
        picture(tmp_path / "JPEGImages" / f"{name}.png")
        annotate(tmp_path, name, THINGS[name])
    return tmp_path


def annotate(folder, name, things):
    (folder / "Annotations").mkdir(exist_ok=True)
    text = ROOM.format(name=name, things="".join(THING.format(label=label, box=box) for label, box in things))
    (folder / "Annotations" / f"{name}.xml").write_text(text)


def found(boxed):
    return {one.place.name[0]: list(zip(one.labels, one.boxes, strict=True)) for one in boxed}


def test_voc(voc):
    with warnings.catch_warnings(action="error"):
        assert found(datasets.voc(voc)) == THINGS
    (voc / "ImageSets" / "Main").mkdir(parents=True)
    (voc / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    assert found(datasets.voc(voc, "train")) == {"a": THINGS["a"]}
    with pytest.raises(BadData, match=r"there is no .*trian.txt: parts are train"):
        datasets.voc(voc, "trian")


def test_coco(voc):
    content = {
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
        "images": [{"id": i, "file_name": f"{name}.png", "width": 20, "height": 16} for i, name in enumerate(THINGS)],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 7, "bbox": [2, 3, 10, 10]},
            {"id": 2, "image_id": 0, "category_id": 9, "bbox": [0, 0, 20, 10]},
        ],
    }
    file = voc / "all.json"
    file.write_text(json.dumps(content))
    assert found(datasets.coco(file, voc / "JPEGImages")) == THINGS
    for change, words in (
        ({"category_id": 8}, "annotation 2 is of category 8, which is none"),
        ({"image_id": 5}, "annotation 2 is of picture 5, which is not there"),
        ({"bbox": [1, 2]}, "no COCO file"),
    ):
        wrong = {**content, "annotations": [content["annotations"][0], {**content["annotations"][1], **change}]}
        file.write_text(json.dumps(wrong))
        with pytest.raises(BadData, match=words):
            datasets.coco(file, voc / "JPEGImages")
    for change in ({"width": None}, {"file_name": None, "height": "x"}):
        file.write_text(json.dumps({**content, "images": [{**content["images"][0], **change}, content["images"][1]]}))
        with pytest.raises(BadData, match="is no COCO file"):
            datasets.coco(file, voc / "JPEGImages")
    crowd = {**content["annotations"][1], "iscrowd": 1}
    file.write_text(json.dumps({**content, "annotations": [content["annotations"][0], crowd]}))
    with pytest.warns(UserWarning, match="1 boxes around crowds were left out"):
        boxes = found(datasets.coco(file, voc / "JPEGImages"))
    assert boxes["a"] == THINGS["a"][:1]


def test_yolo_measures_a_picture_as_it_is_looked_at(tmp_path):
    """A phone's photo lies on its side, and says so."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "pictures").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "pictures" / "a.jpg", exif=exif)
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.25 0.5 0.5\n")
    (one,) = datasets.yolo(tmp_path / "pictures", tmp_path / "labels", ("cat",))
    assert (one.width, one.height, one.boxes) == (30, 40, ((7.5, 0.0, 22.5, 20.0),))


def test_yolo(voc):
    (voc / "labels").mkdir()
    text = voc / "labels" / "a.txt"
    text.write_text("0 0.35 0.5 0.5 0.625\n1 0.5 0.3125 1.0 0.625\n")
    boxes = found(datasets.yolo(voc / "JPEGImages", voc / "labels", ("cat", "dog")))
    assert [label for label, _ in boxes["a"]] == ["cat", "dog"]
    for (_, ours), (_, told) in zip(boxes["a"], THINGS["a"], strict=True):
        assert ours == pytest.approx(told)
    assert boxes["b"] == []
    for line, words in (
        ("2 0.5 0.5 1 1", "line 1: class 2 has no name; there are 0 … 1"),
        ("-1 0.5 0.5 1 1", "line 1: class -1 has no name"),
        ("0 0.5 0.5", "line 1 is '0 0.5 0.5': give class x y width height"),
    ):
        text.write_text(line)
        with pytest.raises(BadData, match=words):
            datasets.yolo(voc / "JPEGImages", voc / "labels", ("cat", "dog"))
    text.write_bytes("0 0.5 0.5 1 1 é".encode("latin-1"))
    with pytest.raises(BadData, match=r"a.txt is no UTF-8 text .*: save it anew"):
        datasets.yolo(voc / "JPEGImages", voc / "labels", ("cat", "dog"))
    text.write_text("0 0.35 0.5 0.5 0.625\n\n", encoding="utf-8-sig")
    giant = b"\x89PNG\r\n\x1a\n" + png("IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)) + png("IDAT", b"")
    (voc / "JPEGImages" / "giant.png").write_bytes(giant)
    with pytest.warns(UserWarning, match=r"one thing is odd: .*giant.png looks like a decompression bomb"):
        boxes = found(datasets.yolo(voc / "JPEGImages", voc / "labels", ("cat", "dog")))
    assert [label for label, _ in boxes["a"]] == ["cat"]


def png(kind, content):
    """A chunk of a PNG file."""
    body = kind.encode() + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def test_what_is_odd_is_named_once(voc):
    things = [("cat", (5, 5, 30, 10)), ("dog", (4, 4, 4, 9)), ("dog", (30, 2, 40, 9)), ("cat", (1, 1, 20, 17))]
    annotate(voc, "a", things)
    (voc / "JPEGImages" / "b.png").unlink()
    with pytest.warns(UserWarning, match="4 things are odd") as told:
        boxes = found(datasets.voc(voc))
    assert len(told) == 1
    assert "a cat reaches out of the picture and was cut" in str(told[0].message)
    assert "a dog at 4, 4, 4, 9 has no area inside" in str(told[0].message)
    assert boxes == {"a": [("cat", (5, 5, 20, 10)), ("cat", (1, 1, 20, 16))]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation>", "cannot be read as a VOC annotation"),
        ("<annotation></annotation>", "it has no size/width"),
        ('<!DOCTYPE a [<!ENTITY b "b">]><annotation/>', "declares entities"),
        (ROOM.format(name="a", things=THING.format(label="cat", box=("x", 1, 2, 3))), "could not convert"),
        (ROOM.format(name="a", things=THING.format(label="cat", box=("nan", 1, 2, 3))), "mend its annotation"),
        ("<a><size><width>inf</width><height>5</height></size></a>", "cannot be read as a VOC annotation"),
    ],
)
def test_a_broken_annotation_is_refused(voc, text, words):
    (voc / "Annotations" / "a.xml").write_text(text)
    with pytest.raises(BadData, match=words):
        datasets.voc(voc)


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(BadData, match="there is no folder"):
        datasets.voc(tmp_path)
    (tmp_path / "Annotations").mkdir()
    with pytest.raises(BadData, match="holds no annotated picture"):
        datasets.voc(tmp_path)


@pytest.mark.skipif(not os.environ.get("DESCEND_DATA"), reason="needs real data")
def test_real_cells_inside_their_archive():
    root = zipfile.Path(Path(os.environ["DESCEND_DATA"], "bccd.zip")) / "BCCD"
    with warnings.catch_warnings(action="ignore"):
        cells = datasets.voc(root, "train")
    assert len(cells) == 205
    assert {label for one in cells for label in one.labels} == {"RBC", "WBC", "Platelets"}
    boxes = [box for one in cells for box in one.boxes]
    assert all(0 <= left < right <= 640 and 0 <= top < bottom <= 480 for left, top, right, bottom in boxes)

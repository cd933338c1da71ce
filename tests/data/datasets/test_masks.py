"""Masks beside pictures: classes read as they are meant, sizes and names checked."""

import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, MaskCodec, datasets

THIRDS = (0.4, 0.3, 0.3)


def fill(folder, n=6, size=(12, 10), classes=3):
    draw = np.random.default_rng(0)
    for name in ("image", "label"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    masks = []
    for number in range(n):
        mask = draw.integers(0, classes, size, dtype=np.uint8)
        Image.fromarray(mask * 80).save(folder / "image" / f"{number}.png")
        Image.fromarray(mask).save(folder / "label" / f"{number}.png")
        masks.append(mask)
    return masks


def read(folder, names=("ground", "tree", "sky"), size=10, **how):
    return datasets.masks(folder / "image", folder / "label", names, size, 1, **how)


def test_a_mask_is_cut_as_its_picture(tmp_path):
    fill(tmp_path, 10)
    data = read(tmp_path)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [7, 1, 2]
    assert data.shape == (1, 10, 10)
    assert data.classes == 3
    for part in (data.train, data.valid, data.test):
        x, target = part.tensors["x"], part.tensors["target"]
        values = x[:, 0] * data.codec.std[0] + data.codec.mean[0]
        torch.testing.assert_close(values * 255, target.float() * 80, atol=0.5, rtol=0)


def test_two_classes_may_be_dark_and_bright(tmp_path):
    fill(tmp_path, classes=2)
    for file in (tmp_path / "label").iterdir():
        Image.fromarray(np.asarray(Image.open(file)) * np.uint8(250)).save(file)
    plain = read(tmp_path, ("off", "on"))
    turned = read(tmp_path, ("on", "off"), dark=1)
    assert torch.equal(plain.train.tensors["target"], 1 - turned.train.tensors["target"])
    assert plain.train.tensors["target"].unique().tolist() == [0, 1]


def test_what_does_not_fit_is_said(tmp_path):
    fill(tmp_path)
    with pytest.raises(BadData, match=r"image/.*png's mask holds the class 2, but there are 1 names: ground are 0 … 0"):
        read(tmp_path, ("ground",))
    with pytest.raises(BadData, match="holds the class 2, but there are 2 names"):
        read(tmp_path, ("ground", "tree"))
    Image.fromarray(np.zeros((5, 10), np.uint8)).save(tmp_path / "label" / "3.png")
    (tmp_path / "label" / "4.png").write_bytes(b"no picture")
    (tmp_path / "image" / "5.png").write_bytes(b"")
    (tmp_path / "label" / "0.png").unlink()
    for name in ("image", "label"):
        (tmp_path / name / "6.png").write_bytes((tmp_path / name / "1.png").read_bytes())
    with pytest.warns(UserWarning, match=r"4 of 7 pictures are left out: .*image/0.png has no mask; ") as told:
        data = read(tmp_path, fractions=THIRDS)
    assert len(told) == 1
    assert "image/3.png has 10×12 pixels, its mask" in str(told[0].message)
    assert "label/4.png is no picture that can be read" in str(told[0].message)
    assert sum(len(part) for part in (data.train, data.valid, data.test)) == 3
    with pytest.raises(BadData, match="4 of 7 pictures are left out"):
        read(tmp_path, strict=True)
    (tmp_path / "label" / "6.png").unlink()
    with pytest.raises(BadData, match=r"hold 2 pairs of one name that can be used, .*image/0.png has no mask"):
        read(tmp_path)


def put(folder, masks):
    """These masks, with a picture each."""
    for name in ("image", "label"):
        (folder / name).mkdir()
    for number, mask in enumerate(masks):
        mask = np.asarray(mask, np.uint8).reshape(2, 2)
        Image.fromarray(mask).save(folder / "label" / f"{number}.png")
        Image.fromarray(mask * 0 + np.uint8(number)).save(folder / "image" / f"{number}.png")


def targets(data):
    return sorted(
        row.flatten().tolist() for part in (data.train, data.valid, data.test) for row in part.tensors["target"]
    )


def test_all_masks_of_a_folder_are_read_alike(tmp_path):
    put(tmp_path, [[0, 0, 0, 0], *[[0, 3, 255, 252]] * 4, [255, 255, 255, 255]])
    assert targets(read(tmp_path, ("off", "on"), 2)) == [[0] * 4, *[[0, 0, 1, 1]] * 4, [1] * 4]
    assert targets(read(tmp_path, ("on", "off"), 2, dark=1)) == [[0] * 4, *[[1, 1, 0, 0]] * 4, [1] * 4]


@pytest.mark.parametrize("void", [[0, 1, 255, 0], [0, 100, 255, 90]])
def test_what_is_neither_dark_nor_bright_is_refused(tmp_path, void):
    put(tmp_path, [[0, 0, 255, 255], void, [0, 0, 0, 0]] if void[1] > 1 else [void] * 3)
    with pytest.raises(BadData, match=r"the masks hold 0, .*255: two classes are told by 0 and 1, or by dark and"):
        read(tmp_path, ("off", "on"), 2, fractions=THIRDS)


def test_a_mask_is_turned_as_its_picture(tmp_path):
    draw = np.random.default_rng(1)
    masks = [draw.integers(0, 2, (6, 4), dtype=np.uint8) for _ in range(6)]
    (tmp_path / "image").mkdir()
    (tmp_path / "label").mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6
    for number, mask in enumerate(masks):
        Image.fromarray(mask * np.uint8(200)).save(tmp_path / "image" / f"{number}.png", exif=turned)
        Image.fromarray(mask).save(tmp_path / "label" / f"{number}.png", exif=turned)
    data = read(tmp_path, ("off", "on"), 4)
    for part in (data.train, data.valid, data.test):
        lit = part.tensors["x"][:, 0] * data.codec.std[0] + data.codec.mean[0] > 0.4
        assert torch.equal(lit.long(), part.tensors["target"])
    Image.fromarray(np.rot90(masks[0], 3)).save(tmp_path / "label" / "0.png")  # already upright: as large as is seen
    assert read(tmp_path, ("off", "on"), 4, strict=True).fingerprint() == data.fingerprint()


def test_inside_an_archive(tmp_path):
    fill(tmp_path)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in sorted(tmp_path.rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path))
    root = zipfile.Path(tmp_path / "all.zip")
    data = datasets.masks(root / "image", root / "label", ("ground", "tree", "sky"), 10, 1)
    assert data.fingerprint() == read(tmp_path).fingerprint()


def test_an_answer_says_areas_and_places():
    codec = MaskCodec(2, 2, 1, labels=("cell", "membrane"))
    output = torch.tensor([[[0.9, 0.2], [0.6, 0.7]], [[0.1, 0.8], [0.4, 0.3]]])
    assert codec.decode(output) == {"areas": {"cell": 0.75, "membrane": 0.25}, "mask": [[0, 1], [0, 0]]}


@pytest.mark.skipif(not os.environ.get("DESCEND_DATA"), reason="needs real data")
def test_real_membranes():
    data = datasets.membrane(64)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [22, 2, 6]
    assert data.codec.labels == ("cell", "membrane")
    share = data.train.tensors["target"].float().mean()
    assert 0.1 < share < 0.35  # membranes are thin
    bright = data.train.tensors["x"][:, 0][data.train.tensors["target"] == 0].mean()
    assert bright > data.train.tensors["x"][:, 0][data.train.tensors["target"] == 1].mean()

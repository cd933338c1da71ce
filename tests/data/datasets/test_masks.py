"""Masks beside pictures: classes read as they are meant, sizes and names checked."""

import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, MaskCodec, datasets


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
    with pytest.raises(BadData, match=r"holds the class 2, but there are 1 names|holds the class 2"):
        read(tmp_path, ("ground",))
    Image.fromarray(np.zeros((5, 10), np.uint8)).save(tmp_path / "label" / "3.png")
    with pytest.raises(BadData, match=r"image/3.png has 10×12 pixels, its mask .*label/3.png 10×5"):
        read(tmp_path)
    (tmp_path / "label" / "3.png").write_bytes(b"no picture")
    with pytest.raises(BadData, match="cannot be read"):
        read(tmp_path)
    for file in list((tmp_path / "label").iterdir())[2:]:
        file.unlink()
    with pytest.warns(UserWarning, match="pictures without a mask left out"), pytest.raises(BadData, match="pairs"):
        read(tmp_path)


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

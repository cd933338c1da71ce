"""CIFAR-10 from its archive: order, split, scale; and archives that are not it."""

import io
import os
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, datasets
from descend.data.datasets.cifar import LABELS, read_archive


def jpeg(colour, size=(32, 32)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


def archive(path, files):
    with tarfile.open(path, "w:xz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_pictures_come_in_the_order_of_their_names(tmp_path):
    files = {
        "test/dog/0001.jpg": jpeg((255, 255, 255)),
        "train/cat/0002.jpg": jpeg((0, 0, 255)),
        "train/airplane/0001.jpg": jpeg((255, 0, 0)),
        "train/cat/0001.jpg": jpeg((0, 255, 0)),
    }
    (x, labels), (test_x, test_labels) = read_archive(archive(tmp_path / "a.tar.xz", files), ("train", "test"))
    assert [LABELS[label] for label in labels] == ["airplane", "cat", "cat"]
    assert [LABELS[label] for label in test_labels] == ["dog"]
    assert x.shape == (3, 3, 32, 32)
    torch.testing.assert_close(x.mean((2, 3)), torch.eye(3), atol=0.01, rtol=0)
    torch.testing.assert_close(test_x, torch.ones(1, 3, 32, 32), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"train/cat/1.jpg": jpeg("red")[:200]}, "train/cat/1.jpg is torn or broken"),
        ({"train/cat/1.jpg": jpeg("red"), "train/cat/2.jpg": jpeg("red", (30, 32))}, "2.jpg is 30×32, not as large"),
        ({"train/cow/1.jpg": jpeg("red")}, "folders in train/ are not the classes airplane"),
        ({"valid/cat/1.jpg": jpeg("red")}, "holds no pictures in train/"),
    ],
)
def test_other_archives_are_refused(files, words, tmp_path):
    with pytest.raises(BadData, match=words):
        read_archive(archive(tmp_path / "a.tar.xz", files), ("train",))


def test_a_torn_archive_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    whole = archive(tmp_path / "a.tar.xz", {"train/cat/1.jpg": file.getvalue()}).read_bytes()
    (tmp_path / "a.tar.xz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData, match="cannot be unpacked"):
        read_archive(tmp_path / "a.tar.xz", ("train",))


def test_without_the_archive_it_is_said_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCEND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DESCEND_DATA", str(tmp_path / "given"))
    with pytest.raises(BadData, match=r"nobody serves it: put it at .*cache/cifar10-jpeg.tar.xz, or name the folder"):
        datasets.cifar10()


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("DESCEND_DATA"), reason="needs real data")
def test_cifar10():
    data = datasets.cifar10()
    assert data.shape == (3, 32, 32)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [47_500, 2_500, 10_000]
    for part in (data.train, data.valid, data.test):
        assert torch.bincount(part.tensors["target"]).tolist() == [len(part) // 10] * 10
    x = data.train.tensors["x"]
    assert x.mean((0, 2, 3)).abs().max() < 1e-4
    assert (x.std((0, 2, 3)) - 1).abs().max() < 1e-4
    assert data.codec.decode(torch.eye(10)[3])["label"] == "cat"

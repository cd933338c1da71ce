"""The embedded and the official picture sets: sizes, splits, scales."""

import pytest
import torch

from descend.data import BadData, Tensors, datasets
from descend.data.datasets.fashion import FILES


def _parts(data):
    return data.train, data.valid, data.test


def test_digits():
    data = datasets.digits()
    assert data.shape == (1, 8, 8)
    assert data.features == 64
    assert data.classes == 10
    assert [len(part) for part in _parts(data)] == [1438, 179, 180]
    for part in _parts(data):
        share = torch.bincount(part.tensors["target"], minlength=10) / len(part)
        assert (share - 0.1).abs().max() < 0.012
    rows = torch.cat([part.tensors["x"] for part in _parts(data)]) * data.codec.std[0] + data.codec.mean[0]
    ink = (rows * 16).round()
    assert torch.allclose(rows * 16, ink, atol=1e-4)
    assert (ink.min(), ink.max()) == (0, 16)
    x = data.train.tensors["x"]
    assert x.mean().abs() < 1e-5  # of the training split
    assert data.test.tensors["x"].mean().abs() > 1e-4


def test_digits_are_split_the_same_every_time():
    data = datasets.digits()
    assert data.fingerprint() == datasets.digits().fingerprint()
    assert len(data.fingerprint()) == 16
    from sklearn.datasets import load_digits

    whole = torch.tensor(load_digits().images.sum((1, 2)))
    x = torch.cat([part.tensors["x"] for part in _parts(data)])
    found = ((x * data.codec.std[0] + data.codec.mean[0]) * 16).sum((1, 2, 3)).sort().values
    assert torch.allclose(found, whole.float().sort().values, atol=0.01)  # every sample once


def test_shuffled_labels():
    data = datasets.digits()
    mixed, again = data.shuffled(1), data.shuffled(1)
    a, b = data.train.tensors["target"], mixed.train.tensors["target"]
    assert torch.equal(torch.bincount(a), torch.bincount(b))
    assert 0.05 < (a == b).float().mean() < 0.15
    assert torch.equal(data.train.tensors["x"], mixed.train.tensors["x"])
    assert torch.equal(b, again.train.tensors["target"])
    assert not torch.equal(b, data.shuffled(2).train.tensors["target"])
    assert mixed.test is data.test
    assert mixed.name == "digits, labels shuffled"


@pytest.fixture(scope="module")
def clothes(request):
    import os

    if not os.environ.get("DESCEND_DATA"):
        pytest.skip("needs real data: DESCEND_DATA names no folder")
    return datasets.fashion_mnist()


@pytest.mark.slow
def test_fashion_mnist(clothes):
    assert clothes.shape == (1, 28, 28)
    assert clothes.classes == 10
    assert [len(part) for part in _parts(clothes)] == [55_000, 5_000, 10_000]
    assert torch.bincount(clothes.test.tensors["target"]).tolist() == [1000] * 10
    assert torch.bincount(torch.cat([p.tensors["target"] for p in _parts(clothes)[:2]])).tolist() == [6000] * 10
    x = clothes.train.tensors["x"]
    # of the training split: with validation pictures the mean would be off by a few 1e-4
    assert x.double().mean().abs() < 1e-5
    assert abs(x.double().std() - 1) < 1e-5
    assert clothes.codec.mean[0] == pytest.approx(0.286, abs=0.002)
    assert clothes.codec.labels[clothes.train.tensors["target"][0]] == "Ankle boot"  # as in its README
    assert isinstance(clothes.train, Tensors)


def test_labels_shuffled_of_clothes_too(clothes):
    mixed = clothes.shuffled(3)
    same = (mixed.train.tensors["target"] == clothes.train.tensors["target"]).float().mean()
    assert abs(same - 0.1) < 0.006
    assert mixed.train.tensors["x"] is clothes.train.tensors["x"]


@pytest.mark.parametrize("harm", ["bit", "cut", "empty"])
def test_a_harmed_official_file_is_refused_by_name(real_data, tmp_path, monkeypatch, harm):
    for file in FILES.values():
        (tmp_path / file.path).parent.mkdir(exist_ok=True)
        (tmp_path / file.path).symlink_to(real_data / file.path)
    path = tmp_path / FILES["t10k-labels"].path
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.unlink()
    path.write_bytes({"bit": bytes(content), "cut": bytes(content[:-1]), "empty": b""}[harm])
    monkeypatch.setenv("DESCEND_DATA", str(tmp_path))
    monkeypatch.setenv("DESCEND_CACHE", str(tmp_path / "cache"))
    why = {"bit": "is not the official file", "cut": "has 5,124 bytes", "empty": "has 0 bytes"}[harm]
    with pytest.raises(BadData, match=rf"t10k-labels-idx1-ubyte\.gz {why}.*: delete it"):
        datasets.fashion_mnist()
    assert not (tmp_path / "cache").exists()  # not fetched instead, without a word

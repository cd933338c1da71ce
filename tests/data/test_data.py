"""Data in memory and in files, and how they are split."""

import pytest
import torch

from descend.data import BadData, Files, ImageCodec, Splits, Tensors, split


def test_tensors_are_gathered_by_index():
    data = Tensors(x=torch.arange(12.0).view(6, 2), target=torch.arange(6))
    batch = data.gather(torch.tensor([4, 0, 4]))
    assert batch["x"].tolist() == [[8, 9], [0, 1], [8, 9]]
    assert batch["target"].tolist() == [4, 0, 4]
    assert len(data.to("cpu")) == 6


def test_the_fingerprint_is_of_the_content():
    x = torch.rand(5, 2)
    base = Tensors(x=x, target=torch.arange(5)).fingerprint()
    assert Tensors(target=torch.arange(5), x=x.clone()).fingerprint() == base
    changed = x.clone()
    changed[3, 1] += 1e-6
    others = [
        Tensors(x=changed, target=torch.arange(5)),
        Tensors(y=x, target=torch.arange(5)),
        Tensors(x=x.view(5, 2, 1), target=torch.arange(5)),
        Tensors(x=x, target=torch.arange(5, dtype=torch.int32)),
    ]
    assert base not in {other.fingerprint() for other in others}


def test_bad_tensors():
    with pytest.raises(BadData, match="there is not one sample: check the path, the filter or the split"):
        Tensors(x=torch.zeros(0, 3))
    with pytest.raises(BadData, match="there is not one sample"):
        Tensors()
    with pytest.raises(BadData, match="one row a sample, but x has 3, target has 4"):
        Tensors(x=torch.zeros(3, 1), target=torch.zeros(4))
    for value in (float("nan"), float("inf"), -float("inf")):
        x = torch.zeros(9, 2, 2)
        x[4, 1, 0] = x[7, 0, 0] = value
        with pytest.raises(BadData, match="'x' is NaN or infinite in 2 of 9 samples, first in sample 4: drop"):
            Tensors(x=x, target=torch.arange(9))


def read(item):
    return {"x": torch.full((2,), float(item)), "target": torch.tensor(item)}


def test_files_are_read_when_asked_for():
    seen = []
    files = Files([3, 1, 4, 1, 5], lambda item: seen.append(item) or read(item))
    assert seen == []
    batch = files.gather(torch.tensor([2, 0]))
    assert seen == [4, 3]
    assert batch["target"].tolist() == [4, 3]
    assert batch["x"].tolist() == [[4, 4], [3, 3]]
    assert files.to("cpu") is files


def test_files_that_fit_become_tensors():
    files = Files(range(10), read)
    held = files.in_memory()
    assert isinstance(held, Tensors)
    a, b = held.gather(torch.arange(10)), files.gather(torch.arange(10))
    assert all(torch.equal(a[name], b[name]) for name in ("x", "target"))
    assert files.in_memory(limit=10 * 16) is not files
    assert files.in_memory(limit=10 * 16 - 1) is files


def test_bad_files(tmp_path):
    with pytest.raises(BadData, match="there is not one file"):
        Files([], read)
    paths = [tmp_path / f"{i}.bin" for i in range(3)]
    for path in paths:
        path.touch()

    def wrong(item):
        _, kind = item
        if kind == "raises":
            raise KeyError("size")
        return {"x": torch.zeros(3 if kind == "longer" else 2) / (0 if kind == "nan" else 1)}

    def ask(kind):
        Files([(paths[0], ""), (paths[1], kind)], wrong).gather(torch.tensor([0, 1]))

    with pytest.raises(BadData, match=r"1\.bin cannot be read \(KeyError: 'size'\)"):
        ask("raises")
    with pytest.raises(BadData, match=r"1\.bin: 'x' is NaN or infinite: mend the file"):
        ask("nan")
    with pytest.raises(BadData, match=r"1\.bin gives \{'x': \(3,\)\}, but .*0\.bin gives \{'x': \(2,\)\}"):
        ask("longer")


def test_the_fingerprint_of_files_moves_with_their_folder(tmp_path):
    def prints(folder, sizes=(1, 2), target=0):
        (tmp_path / folder / "in").mkdir(parents=True)
        paths = [tmp_path / folder / "a", tmp_path / folder / "in" / "b"]
        for path, size in zip(paths, sizes, strict=True):
            path.write_bytes(b"x" * size)
        return Files([(path, target) for path in paths], read).fingerprint()

    base = prints("first")
    assert prints("second") == base
    assert prints("third", (1, 3)) != base
    assert prints("fourth", target=1) != base
    assert Files([1, 2], read).fingerprint() != Files([2, 1], read).fingerprint()


@pytest.mark.parametrize("n", [10, 11, 97, 1000])
@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.7, 0.15, 0.15), (0.5, 0.5)])
def test_a_split_holds_everything_once(n, fractions):
    parts = split(n, fractions, 3)
    assert sorted(torch.cat(parts).tolist()) == list(range(n))
    assert all(abs(len(part) - fraction * n) <= 1 for part, fraction in zip(parts, fractions, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(parts, split(n, fractions, 3), strict=True))
    assert not torch.equal(parts[0], split(n, fractions, 4)[0])


def test_a_split_takes_of_each_class_alike():
    classes = torch.tensor([0] * 100 + [1] * 40 + [2] * 10 + [3])[torch.randperm(151)]
    parts = split(151, (0.7, 0.15, 0.15), 0, classes=classes)
    assert [len(part) for part in parts] == [106, 22, 23]
    counts = torch.stack([torch.bincount(classes[part], minlength=4) for part in parts])
    assert (counts[:, :3] - torch.tensor([[70, 28, 7], [15, 6, 1.5], [15, 6, 1.5]])).abs().max() <= 1.5
    assert counts[:, 3].tolist() == [1, 0, 0]
    # what is learned from holds every class, also where it is the smaller part
    classes = torch.tensor([0] * 50 + [1, 2, 2])
    assert classes[split(53, (0.3, 0.7), 0, classes=classes)[0]].unique().tolist() == [0, 1, 2]


def test_a_part_would_be_empty():
    with pytest.raises(BadData, match=r"4 samples cannot be split 0\.8 / 0\.1 / 0\.1: a part would be empty"):
        split(4, (0.8, 0.1, 0.1), 0)


def _splits(target, labels=("a", "b", "c")):
    part = Tensors(x=torch.zeros(4, 1, 2, 2), target=torch.tensor([0, 1, 2, 0]))
    train = Tensors(x=torch.zeros(len(target), 1, 2, 2), target=torch.tensor(target))
    return Splits(train, part, part, ImageCodec(2, 2, 1, labels=labels), "toys")


def test_labels_are_checked():
    assert _splits([0, 1, 2]).classes == 3
    with pytest.raises(
        BadData, match="toys: train: 2 labels are out of range, first 3 of sample 1; with 3 classes a la"
    ):
        _splits([0, 3, -1])
    with pytest.raises(BadData, match="toys: train: one class only, all 3 labels are 1"):
        _splits([1, 1, 1])
    with pytest.raises(BadData, match="toys: valid: 1 labels are out of range, first 2 of sample 2"):
        _splits([0, 1, 1], labels=("a", "b"))


def test_labels_in_files_are_not_shuffled():
    files = Files(range(3), read)
    data = Splits(files, files, files, ImageCodec(2, 1, 1, labels=("a", "b", "c")), "toys")
    with pytest.raises(ValueError, match="call in_memory"):
        data.shuffled()

"""How samples are split, and what is checked of their labels."""

import pytest
import torch

from descend.data import BadData, Files, ImageCodec, Splits, Tensors, split
from descend.data.splits import check_labels


def read(item):
    return {"x": torch.full((2,), float(item)), "target": torch.tensor(item)}


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


def test_shuffling_moves_training_labels_and_nothing_else():
    n = 600
    x, target = torch.rand(n, 1, 2, 2), torch.arange(n) % 3
    part = Tensors(x=x[:9].clone(), target=target[:9].clone())
    data = Splits(Tensors(x=x, target=target), part, part, ImageCodec(2, 2, 1, labels=("a", "b", "c")), "toys")
    before = data.fingerprint()
    mixed = data.shuffled(4)
    assert data.fingerprint() == before  # the data themselves are as they were
    assert mixed.fingerprint() != before
    assert torch.equal(mixed.train.tensors["target"].sort().values, target.sort().values)
    assert abs((mixed.train.tensors["target"] == target).float().mean() - 1 / 3) < 4 * (2 / 9 / n) ** 0.5
    assert torch.equal(mixed.train.tensors["x"], x)
    assert mixed.valid.fingerprint() == mixed.test.fingerprint() == part.fingerprint()


def test_the_fingerprint_tells_the_parts_apart():
    a, b = (Tensors(x=torch.full((3, 1, 2, 2), float(i)), target=torch.arange(3)) for i in range(2))
    codec = ImageCodec(2, 2, 1, labels=("a", "b", "c"))
    found = {Splits(*parts, codec, "toys").fingerprint() for parts in ((a, b, b), (b, a, b), (b, b, a), (a, a, b))}
    assert len(found) == 4
    assert Splits(a, b, b, codec, "another name").fingerprint() == Splits(a, b, b, codec, "toys").fingerprint()


def test_fractions_are_the_whole():
    for fractions in ((0.5, 0.2), (0.8, 0.3), (1.2, -0.2), (1.0, 0.0)):
        with pytest.raises(ValueError, match=r"each is above 0, and together they are 1"):
            split(10, fractions, 0)
    assert [len(part) for part in split(10, (1 / 3, 1 / 3, 1 / 3), 0)] == [3, 4, 3]


def test_one_sample_too_many_is_named_by_its_number():
    check_labels(torch.tensor([0, 9, 3]), 10, "here", several=True)
    with pytest.raises(BadData, match=r"here: 1 labels are out of range, first -1 of sample 2; .* a label is 0 … 9"):
        check_labels(torch.tensor([0, 9, -1]), 10, "here")


def test_the_first_of_each_class_is_learned_from_also_where_classes_are_many():
    classes = torch.cat([torch.arange(30), torch.full((6,), 30), torch.full((6,), 31)])
    train, valid, test = split(42, (0.7, 0.15, 0.15), 0, classes=classes)
    assert set(classes[train].tolist()) == set(range(32))
    assert set(classes[torch.cat([valid, test])].tolist()) == {30, 31}
    assert [len(part) for part in (train, valid, test)] == [32, 4, 6]

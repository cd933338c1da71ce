"""Orders that keep samples of a class together: every sample once, hanging on the key alone."""

import pytest
import torch

from descend.data import Apart, Files, Loader, Tensors, Together
from descend.functional import keyed

TARGET = torch.randint(0, 30, (500,), generator=keyed.generator(1))
DATA = Tensors(x=torch.arange(500.0), target=TARGET)


def batches(loader, epoch=0):
    first = epoch * loader.steps_per_epoch
    return [loader.batch(step) for step in range(first, first + loader.steps_per_epoch)]


def test_every_sample_comes_once_an_epoch_in_another_order():
    loader = Loader(DATA, 32, Together(TARGET, 4))
    epochs = [torch.cat([batch["index"] for batch in batches(loader, epoch)]) for epoch in range(2)]
    for order in epochs:
        assert order.sort().values.tolist() == list(range(500))
    assert not torch.equal(*epochs)
    again = Loader(DATA, 32, Together(TARGET, 4))
    assert torch.equal(again.batch(20)["index"], loader.batch(20)["index"])
    again.seed = 1
    assert not torch.equal(again.batch(20)["index"], loader.batch(20)["index"])


@pytest.mark.parametrize(("count", "length"), [(100, 8), (64, 8), (5, 8)])
def test_stretches_that_overlap_come_late(count, length):
    order = Apart(count, length)(3)
    assert order.sort().values.tolist() == list(range(count))
    first = order[: count // length]
    assert (first.sort().values.diff() == length).all()
    assert len(first) < 3 or (first.diff() != length).any()
    assert not torch.equal(order, Apart(count, length)(4))


@pytest.mark.parametrize("each", [2, 4, 7])
def test_samples_of_a_class_come_together(each):
    target = torch.arange(100).repeat_interleave(each * 3)[keyed.permutation(300 * each, 2)]
    order = Together(target, each)(5)
    groups = target[order].view(-1, each)
    assert (groups == groups[:, :1]).all()
    assert (groups[1:, 0] != groups[:-1, 0]).float().mean() > 0.9  # the groups themselves are shuffled
    inside = order.view(-1, each)
    assert (inside != inside.sort(1).values).any()  # and so are the samples in them


def test_what_is_left_of_a_class_comes_too():
    order = Together(torch.tensor([0, 0, 0, 0, 0, 1, 2, 2]), 4)(0)
    assert order.sort().values.tolist() == list(range(8))


def test_ranks_share_the_same_batch():
    loader = Loader(DATA, 32, Together(TARGET))
    shares = [loader.batch(3, rank, 2)["index"] for rank in range(2)]
    assert torch.equal(torch.cat(shares), loader.batch(3)["index"])


def test_classes_are_known_without_reading():
    files = Files([(str(i), int(target)) for i, target in enumerate(TARGET)], lambda item: {})
    assert torch.equal(files.targets(), TARGET)
    with pytest.raises(ValueError, match="are not known before they are read"):
        Files(["a", "b"], lambda item: {}).targets()
    with pytest.raises(ValueError, match="have no class numbers"):
        Tensors(x=torch.ones(3)).targets()


@pytest.mark.parametrize("each", [0, 1])
def test_one_sample_is_no_pair(each):
    with pytest.raises(ValueError, match=f"each is {each}"):
        Together(TARGET, each)

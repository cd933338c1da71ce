"""A batch: its length counts samples, its parts are the whole."""

import pytest
import torch

from descend.data import Batch


def test_inputs_are_all_but_the_target_and_the_ids():
    batch = Batch({"x": torch.zeros(3, 2)}, target=torch.arange(3), index=torch.arange(3), extra=torch.ones(3))
    assert list(batch.inputs) == ["x", "extra"]
    assert dict(**batch) == batch.tensors
    assert len(batch) == 3
    assert len(Batch()) == 0
    assert repr(batch).startswith("Batch(x: (3, 2), target: (3,)")


def test_what_a_batch_does_not_hold():
    with pytest.raises(KeyError, match="this batch has no 'y'; it has x, target"):
        _ = Batch(x=torch.zeros(1), target=torch.zeros(1))["y"]
    with pytest.raises(KeyError, match="it has nothing"):
        _ = Batch()["y"]


@pytest.mark.parametrize("n", [1, 2, 7, 8])
@pytest.mark.parametrize("parts", [0, 1, 2, 3, 8, 20])
def test_parts_are_the_whole_in_order_and_never_empty(n, parts):
    batch = Batch(x=torch.rand(n, 2), target=torch.arange(n))
    found = batch.split(parts)
    assert len(found) == max(1, min(n, parts))
    sizes = [len(part) for part in found]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    for name in batch:
        assert torch.equal(torch.cat([part[name] for part in found]), batch[name])


def test_a_subclass_stays_what_it_is():
    class Graphs(Batch):
        pass

    batch = Graphs(x=torch.zeros(4, 1))
    assert all(type(part) is Graphs for part in [batch.to("cpu"), *batch.split(2)])

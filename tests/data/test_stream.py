"""Streams side by side: one batch a name, keyed apart, shared by ranks, saved and closed together."""

import pytest
import torch

from descend.data import Batch, Loader, Stream, Tensors, Zip


def numbers(n):
    return Tensors(x=torch.arange(n, dtype=torch.float32)[:, None], target=torch.arange(n))


class Memory(Stream):
    """Remembers how often it was asked, what it was told, and that it was closed."""

    def __init__(self):
        self.asked = 0
        self.told = []
        self.closed = False

    def batch(self, step, rank=0, ranks=1):
        self.asked += 1
        return Batch(x=torch.full((2, 1), float(self.asked)))

    def observe(self, batch, outputs):
        self.told.append((batch["x"].tolist(), dict(outputs)))

    def state_dict(self):
        return {"asked": self.asked}

    def load_state_dict(self, state):
        self.asked = state["asked"]

    def close(self):
        self.closed = True


def test_a_zip_gives_one_batch_a_name_drawn_apart():
    both = Zip(train=Loader(numbers(12), 4), valid=Loader(numbers(12), 4))
    both.seed = 5
    batch = both.batch(2)
    first, second = Loader(numbers(12), 4), Loader(numbers(12), 4)
    first.seed, second.seed = 5, 6
    assert torch.equal(batch["train"]["index"], first.batch(2)["index"])
    assert torch.equal(batch["valid"]["index"], second.batch(2)["index"])
    assert not torch.equal(batch["train"]["index"], batch["valid"]["index"])
    both.seed = 9  # taken over at the next batch
    first.seed = 9
    assert torch.equal(both.batch(2)["train"]["index"], first.batch(2)["index"])


def test_an_epoch_is_the_first_streams():
    assert Zip(a=Loader(numbers(12), 4), b=Loader(numbers(12), 1)).steps_per_epoch == 3
    assert Zip(a=Loader(numbers(12), 1), b=Loader(numbers(12), 4)).steps_per_epoch == 12


def test_ranks_share_every_stream():
    both = Zip(a=Loader(numbers(10), 5), b=Loader(numbers(8), 3))
    whole, shares = both.batch(1), [both.batch(1, rank, 2) for rank in range(2)]
    for name in "ab":
        assert torch.equal(torch.cat([share[name]["x"] for share in shares]), whole[name]["x"])


def test_a_zipped_batch_is_split_and_moved_like_any_other():
    batch = Zip(a=Loader(numbers(10), 5), b=Loader(numbers(10), 7)).batch(0)
    assert len(batch) == 5
    parts = batch.split(2)
    assert [len(part["a"]) for part in parts] == [3, 2]
    assert [len(part["b"]) for part in parts] == [4, 3]
    assert torch.equal(torch.cat([part["b"]["x"] for part in parts]), batch["b"]["x"])
    moved = batch.to("meta")
    assert moved["a"]["x"].is_meta
    assert moved["b"]["target"].is_meta


def test_what_remembers_is_told_saved_and_closed():
    both = Zip(plain=Loader(numbers(4), 2), memory=Memory())
    both.batch(0)
    batch = both.batch(1)
    both.observe(batch, {"loss": torch.tensor(1.0)})
    memory = both.streams["memory"]
    assert memory.told == [([[2.0], [2.0]], {"loss": torch.tensor(1.0)})]
    other = Zip(plain=Loader(numbers(4), 2), memory=Memory())
    other.load_state_dict(both.state_dict())
    assert other.batch(2)["memory"]["x"][0, 0] == 3
    both.close()
    assert memory.closed


def test_what_remembers_nothing_refuses_a_memory():
    loader = Loader(numbers(4), 2)
    loader.load_state_dict(loader.state_dict())
    with pytest.raises(ValueError, match="Loader remembers nothing, but the checkpoint holds asked, made"):
        loader.load_state_dict({"asked": 1, "made": 2})

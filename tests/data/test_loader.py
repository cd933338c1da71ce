"""The loader: every sample once an epoch, in an order that nothing but (seed, epoch) decides."""

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from descend.data import BadData, Batch, Data, Files, Loader, Tensors
from descend.functional import keyed


def numbers(n):
    return Tensors(x=torch.arange(n, dtype=torch.float32)[:, None], target=torch.arange(n))


def read(item):
    return {"x": torch.full((3,), float(item)), "target": torch.tensor(item)}


def same(a, b):
    assert list(a) == list(b)
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("n", [1, 2, 7, 32, 33, 100])
@pytest.mark.parametrize("batch", [1, 2, 8, 32, 1000])
def test_every_sample_exactly_once_an_epoch(n, batch):
    loader = Loader(numbers(n), batch)
    for epoch in range(2):
        steps = range(epoch * loader.steps_per_epoch, (epoch + 1) * loader.steps_per_epoch)
        batches = [loader.batch(step) for step in steps]
        assert sorted(torch.cat([b["index"] for b in batches]).tolist()) == list(range(n))
        assert all(torch.equal(b["index"], b["target"]) for b in batches)
        # never one sample alone, where it has a batch to join
        assert min(len(b) for b in batches) > 1 or batch == 1 or n == 1
        assert max(len(b) for b in batches) <= batch + 1


def test_a_last_batch_of_one_joins_the_one_before():
    loader = Loader(numbers(33), 16)
    assert loader.steps_per_epoch == 2
    assert [len(loader.batch(step)) for step in range(4)] == [16, 17, 16, 17]
    assert [len(Loader(numbers(34), 16).batch(step)) for step in range(3)] == [16, 16, 2]


def test_the_order_is_a_permutation_keyed_by_seed_and_epoch():
    loader = Loader(numbers(50), 50)
    orders = {}
    for seed in (0, 1):
        loader.seed = seed
        for epoch in (0, 1, 2):
            orders[seed, epoch] = loader.batch(epoch)["index"]
            assert torch.equal(orders[seed, epoch], keyed.permutation(50, seed, epoch))
    assert len({tuple(order.tolist()) for order in orders.values()}) == 6
    loader.seed = 0
    assert torch.equal(loader.batch(1)["index"], orders[0, 1])  # asked again, out of order


def test_without_shuffle_the_order_is_the_datas_own():
    loader = Loader(numbers(10), 4, shuffle=False)
    assert torch.cat([loader.batch(step)["index"] for step in range(3, 6)]).tolist() == list(range(10))


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_the_shares_of_the_ranks_are_the_global_batch(ranks):
    def noise(batch, keys):
        return Batch({**batch, "x": batch["x"] + keyed.normal(keys, 0)[:, None]})

    loader = Loader(numbers(35), 8, augment=noise)
    for step in range(2 * loader.steps_per_epoch):
        whole = loader.batch(step)
        shares = [loader.batch(step, rank, ranks) for rank in range(ranks)]
        for name in whole:
            assert torch.equal(torch.cat([share[name] for share in shares]), whole[name])


def test_shares_may_be_empty():
    files = Files(range(10), read)
    for data in (files, files.in_memory()):
        shares = [Loader(data, 3).batch(0, rank, 4) for rank in range(4)]
        assert [len(share) for share in shares] == [1, 1, 1, 0]
        assert shares[3]["x"].shape == (0, 3)


def test_what_cannot_be_asked():
    with pytest.raises(ValueError, match="batch is 0: give 1 sample or more"):
        Loader(numbers(3), 0)
    with pytest.raises(ValueError, match="workers is -1"):
        Loader(numbers(3), 1, workers=-1)
    with pytest.raises(ValueError, match="rank=2, ranks=2"):
        Loader(numbers(3), 1).batch(0, 2, 2)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_batches(workers):
    def noise(batch, keys):
        return Batch({**batch, "x": batch["x"] + keyed.uniform(keys, 0)[:, None]})

    files = Files(range(41), read)
    plain, ahead = Loader(files, 8, augment=noise), Loader(files, 8, augment=noise, workers=workers)
    plain.seed = ahead.seed = 5
    # in order, over the end of an epoch, then from the middle, back, and again
    for step in [0, 1, 2, 3, 4, 5, 6, 7, 3, 4, 100, 101, 0, 0]:
        assert same(plain.batch(step), ahead.batch(step))
    plain.seed = ahead.seed = 6
    assert same(plain.batch(1), ahead.batch(1))
    assert same(plain.batch(2, 1, 2), ahead.batch(2, 1, 2))
    ahead.close()


def test_a_slow_worker_changes_nothing():
    def slow(item):
        time.sleep(0.15 if item == 3 else 0)
        return read(item)

    quick, late = Loader(Files(range(24), read), 4), Loader(Files(range(24), slow), 4, workers=2)
    assert all(same(quick.batch(step), late.batch(step)) for step in range(12))
    late.close()


@pytest.mark.slow
def test_workers_read_ahead_a_bounded_number_of_batches(tmp_path):
    def noted(item):
        (tmp_path / str(item)).touch()
        return read(item)

    loader = Loader(Files(range(1000), noted), 2, shuffle=False, workers=2)
    loader.batch(0)
    time.sleep(0.5)
    # the batch taken, and two a worker ahead
    assert len(list(tmp_path.iterdir())) == 2 * (1 + 2 * 2)
    loader.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crashed_worker_is_replaced_and_the_batches_are_the_same(tmp_path, workers):
    flag = tmp_path / "crashed"

    def crash(item):
        if item == 17 and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return read(item)

    plain, crashing = Loader(Files(range(40), read), 4), Loader(Files(range(40), crash), 4, workers=workers)
    with pytest.warns(UserWarning, match=r"a worker died \(killed by SIGKILL\) at step \d+; its work is done again"):
        assert all(same(plain.batch(step), crashing.batch(step)) for step in range(20))
    assert flag.exists()
    crashing.close()


def test_a_worker_killed_from_outside_at_any_time():
    files = Files(range(40), read)
    plain, killed = Loader(files, 4), Loader(files, 4, workers=2)
    for step in range(12):
        batch = killed.batch(step)
        assert same(plain.batch(step), batch)
        if step in (3, 8):  # one batch is ready in its pipe, one is being read
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
            time.sleep(0.05)
            with pytest.warns(UserWarning, match="a worker died"):
                assert same(plain.batch(step + 1), killed.batch(step + 1)) & same(
                    plain.batch(step + 2), killed.batch(step + 2)
                )
    killed.close()


def test_a_batch_that_kills_twice_is_named(tmp_path):
    def crash(item):
        if item.name == "6.png":
            os._exit(3)
        return read(int(item.stem))

    paths = [tmp_path / f"{i}.png" for i in range(12)]
    for path in paths:
        path.touch()
    loader = Loader(Files(paths, crash), 6, shuffle=False, workers=2)
    loader.batch(0)
    with (
        pytest.warns(UserWarning, match="died"),
        pytest.raises(BadData, match=r"died twice \(exit code 3\) reading the batch of step 1: .*6\.png.* and 2 more"),
    ):
        loader.batch(1)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_names_the_file_at_its_own_step(tmp_path, workers):
    def broken(item):
        if item.name == "5.png":
            raise RuntimeError("marker not found")
        return read(int(item.stem))

    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for path in paths:
        path.touch()
    loader = Loader(Files(paths, broken), 2, shuffle=False, workers=workers)
    loader.batch(0)
    loader.batch(1)
    with pytest.raises(BadData, match=r"5\.png cannot be read \(RuntimeError: marker not found\)"):
        loader.batch(2)
    loader.close()


class Odd(Exception):
    """Pickled, and never read back: what is not known there is its second argument."""

    def __init__(self, word, number):
        super().__init__(f"{word} {number}")


class Failing(Data):
    """Raises what it is given where sample 4 is asked for."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 8

    def gather(self, index):
        if 4 in index:
            raise self.error
        return Batch(x=index.float())

    def fingerprint(self):
        return "none"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [(KeyError("size"), KeyError, "size"), (Odd("lost", 7), RuntimeError, "Odd: lost 7")],
)
def test_any_error_of_a_worker_arrives_with_its_traceback(error, kind, words):
    loader = Loader(Failing(error), 2, shuffle=False, workers=2)
    assert loader.batch(1)["x"].tolist() == [2, 3]
    with pytest.raises(kind, match=words) as told:
        loader.batch(2)
    assert "in gather" in "".join(told.value.__notes__)
    assert loader.batch(3)["x"].tolist() == [6, 7]  # the others go on
    loader.close()


def test_a_batch_that_cannot_be_sent_says_so():
    class Hidden(Batch):
        """No name that another process could find it by."""

    class Sealed(Failing):
        def gather(self, index):
            return Hidden(x=index.float())

    loader = Loader(Sealed(None), 2, workers=1)
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"pickle local object .*Hidden"):
        loader.batch(0)
    loader.close()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_may_be_asked_for_in_any_order(workers):
    files = Files(range(23), read)
    loader, plain = Loader(files, 4, workers=workers), Loader(files.in_memory(), 4)
    for step in keyed.permutation(3 * loader.steps_per_epoch, 1).tolist():
        assert same(loader.batch(step), plain.batch(step))
    loader.close()


def test_close_leaves_no_process():
    loader = Loader(Files(range(8), read), 2, workers=2)
    loader.batch(0)
    assert len(multiprocessing.active_children()) == 2
    loader.close()
    assert not multiprocessing.active_children()
    assert len(loader.batch(1)) == 2  # it can be asked again
    del loader
    gc.collect()
    _gone(multiprocessing.active_children)


@pytest.mark.slow
def test_workers_end_when_the_training_is_killed(tmp_path):
    page = tmp_path / "page.py"
    page.write_text(
        "import os, multiprocessing, signal, torch\n"
        "from descend.data import Files, Loader\n"
        "loader = Loader(Files(range(8), lambda i: {'x': torch.ones(2)}), 2, workers=3)\n"
        "loader.batch(0)\n"
        "print(*[p.pid for p in multiprocessing.active_children()], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    found = subprocess.run([sys.executable, str(page)], stdout=subprocess.PIPE, text=True, timeout=60)
    workers = [int(word) for word in found.stdout.split()]
    assert len(workers) == 3
    _gone(lambda: [pid for pid in workers if _alive(pid)])


def test_data_in_memory_needs_no_workers():
    loader = Loader(numbers(8), 2, workers=2)
    loader.batch(0)
    assert not multiprocessing.active_children()


def _alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def _gone(left):
    for _ in range(100):
        if not left():
            return
        time.sleep(0.05)
    raise AssertionError(left())

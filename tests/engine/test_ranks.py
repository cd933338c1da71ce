"""One rank = two ranks = four micro-batches, with real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from descend.data import Loader
from descend.engine import Compute, Ranks, UsageError, evaluate, fit
from descend.functional import keyed
from descend.optim import AdamW
from tests.engine.pages import TwoCounts, network, points

HOME = Path(__file__).resolve().parents[2]


def _work(out: str, micro: int) -> None:
    """Three epochs over 101 samples in batches of 18: ragged over parts, ranks and the last batch. float64, so that
    what is compared is the arithmetic and not its rounding."""
    keyed.reseed(3)
    data = points(dtype=torch.float64)
    task = TwoCounts(network().double(), AdamW(1e-2))
    ranks = Ranks.join()
    loader = Loader(data, 18)
    fit(task, loader, steps=3 * loader.steps_per_epoch, seed=1, compute=Compute(micro=micro), ranks=ranks)
    found = evaluate(task, data, batch=10, ranks=ranks)
    state = {**task.state_dict(), "score": torch.tensor(found.scores["loss"], dtype=torch.float64)}
    save_file(state, f"{out}.{ranks.rank}")


def _run(tmp_path, name, ranks=1, micro=1):
    out, processes = tmp_path / name, []
    for rank in range(ranks):
        env = {
            **os.environ,
            "DESCEND_RANK": str(rank),
            "DESCEND_RANKS": str(ranks),
            "OMP_NUM_THREADS": "1",
            "DESCEND_RENDEZVOUS": f"file://{tmp_path}/{name}.meet",
            "PYTHONPATH": f"{HOME}:{os.environ.get('PYTHONPATH', '')}",
        }
        words = [sys.executable, "-m", "tests.engine.test_ranks", str(out), str(micro)]
        processes.append(subprocess.Popen(words, env=env, cwd=HOME))
    assert [process.wait(120) for process in processes] == [0] * ranks
    return [load_file(f"{out}.{rank}") for rank in range(ranks)]


@pytest.mark.slow
def test_one_rank_is_two_ranks_is_four_micro_batches(tmp_path):
    (alone,) = _run(tmp_path, "alone")
    (split,) = _run(tmp_path, "split", micro=4)
    first, second = _run(tmp_path, "two", ranks=2)
    (untrained,) = [{**TwoCounts(network().double(), AdamW(1e-2)).state_dict()}]
    for name, value in alone.items():
        torch.testing.assert_close(split[name], value, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(first[name], value, rtol=1e-6, atol=1e-6)
        assert torch.equal(first[name], second[name])
        assert name == "score" or not torch.allclose(untrained[name], value)


@pytest.mark.slow
def test_the_command_trains_and_scores_with_two_ranks(tmp_path):
    words = [
        sys.executable,
        "-m",
        "descend",
        "train",
        "digits",
        "--ranks",
        "2",
        "--steps",
        "50",
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["test"]["accuracy"] > 0.8
    assert sum(map(sum, scores["confusion"])) == 180


def test_a_rank_out_of_range_is_refused():
    with pytest.raises(ValueError, match="ranks count from 0 to 1"):
        Ranks(2, 2)


def test_alone_nothing_is_summed():
    tensors = [torch.ones(2), torch.zeros(3)]
    assert Ranks().sum(tensors) == tensors
    assert Ranks().most(3) == 3


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]))
    os._exit(0)  # as the command does: gloo's threads can abort a process that is torn down in the usual order


def test_each_rank_takes_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("DESCEND_RENDEZVOUS", "tcp://here:1")
    assert [Ranks(rank, 4).device("cuda") for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert Ranks(1, 2).device(None) == Ranks(1, 2).device("cuda:0") == "cuda:1"  # as rank 0 wrote it down
    assert Ranks(1, 2).device("cpu") == "cpu"
    assert Ranks().device("cuda:1") == "cuda:1"
    monkeypatch.setenv("DESCEND_RENDEZVOUS", "file:///tmp/here")
    with pytest.raises(UsageError, match="4 ranks want a GPU each, and here are 2: give --ranks 2"):
        Ranks(1, 4).device("cuda")

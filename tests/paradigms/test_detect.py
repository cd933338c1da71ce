"""One part = four micro-batches = two ranks, for two terms of different counts over a ragged batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from descend.data import Loader, Tensors
from descend.engine import Compute, Ranks, fit
from descend.functional import keyed
from descend.optim import AdamW
from tests.paradigms import detect, planted

HOME = Path(__file__).resolve().parents[2]
MOST_PARTS = 7


def learned(kind: type = detect.Detect, micro: int = 1, ranks: Ranks | None = None) -> dict[str, Tensor]:
    """The weights after an epoch over 101 pictures in batches of 18; in float64, so that what is compared is the
    arithmetic and not its rounding."""
    keyed.reseed(5)
    task = kind(detect.Eye(4), AdamW(1e-2)).double()
    rows = {name: t.double() if t.is_floating_point() else t for name, t in detect.scenes(101, 3).rows.tensors.items()}
    loader = Loader(detect.Pictures(Tensors(**rows)), 18)
    fit(task, loader, steps=loader.steps_per_epoch, seed=1, compute=Compute(micro=micro), ranks=ranks)
    return task.state_dict()


def far(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max((one[name] - other[name]).abs().max().item() for name in one)


def test_a_split_keeps_every_box_with_its_picture():
    scenes = detect.scenes(12, 3).gather(torch.arange(12))
    parts = scenes.split(5)
    assert [len(part) for part in parts] == [3, 3, 2, 2, 2]
    assert [len(part["boxes"]) for part in parts] == [int(part["held"].sum()) for part in parts]
    assert torch.equal(torch.cat([part["boxes"] for part in parts]), scenes["boxes"])
    assert len(scenes["boxes"]) != len(scenes)


@pytest.mark.parametrize("micro", [2, 4, MOST_PARTS])
def test_micro_batches_equal_the_batch(micro):
    assert far(learned(micro=micro), learned()) < 1e-6


def test_a_mean_of_means_shows():
    assert far(learned(planted.MeanOfMeans, micro=4), learned(planted.MeanOfMeans)) > 1e-3


@pytest.mark.slow
def test_two_ranks_equal_one(tmp_path):
    processes = []
    for rank in range(2):
        env = {**os.environ, "DESCEND_RANK": str(rank), "DESCEND_RANKS": "2", "OMP_NUM_THREADS": "1",
               "DESCEND_RENDEZVOUS": f"file://{tmp_path}/meet"}
        words = [sys.executable, "-m", "tests.paradigms.test_detect", str(tmp_path / str(rank))]
        processes.append(subprocess.Popen(words, env=env, cwd=HOME))
    assert [process.wait(120) for process in processes] == [0, 0]
    first, second = (load_file(tmp_path / str(rank)) for rank in range(2))
    assert far(first, second) == 0
    assert far(first, learned()) < 1e-6


if __name__ == "__main__":
    save_file(learned(ranks=Ranks.join()), sys.argv[1])
    os._exit(0)  # as the command does: gloo's threads can abort a process that is torn down in the usual order

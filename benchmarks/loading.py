"""How fast a folder of picture files is read, with how many cores and in how much memory.

    python benchmarks/loading.py                 # 60,000 JPEG files of CIFAR-10, brought to 224×224
    python benchmarks/loading.py --size 32

The pictures are unpacked into a folder and never held (``limit=0``): at 224×224 they would be 36 GB. Printed, for each
number of workers, over the first steps of an epoch: pictures a second, cores that were busy, and the most memory that
all processes together had for themselves (proportional set size), beside what the pictures that were read would take.
"""

from __future__ import annotations

import argparse
import json
import os
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from descend.data import Files, Loader, datasets
from descend.data.datasets.cifar import ARCHIVE

BATCH = 128
EVERY = 0.5
"""Seconds between two looks at the memory."""


class Memory(threading.Thread):
    """The most that this process and its children had at a time, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(EVERY):
            self.most = max(self.most, sum(map(_held, _family())))

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def _family() -> list[int]:
    own = os.getpid()
    tasks = Path(f"/proc/{own}/task").glob("*/children")
    return [own, *(int(child) for task in tasks for child in task.read_text().split())]


def _held(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _busy() -> float:
    """Processor seconds of this process and of its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def read(data: Files, workers: int, steps: int) -> dict[str, Any]:
    begin, busy = time.perf_counter(), _busy()
    with Memory() as memory:
        loader = Loader(data, BATCH, workers=workers)
        size = sum(t.nbytes for step in range(steps) for t in loader.batch(step).tensors.values())
        loader.close()
    seconds = time.perf_counter() - begin
    return {
        "workers": workers,
        "pictures": steps * BATCH,
        "pictures_per_s": round(steps * BATCH / seconds, 1),
        "cores": round((_busy() - busy) / seconds, 2),
        "most_memory_mb": round(memory.most / 2**20),
        "read_mb": round(size / 2**20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure reading a folder of pictures.")
    parser.add_argument("--size", type=int, default=224, help="pixels a side")
    parser.add_argument("--steps", type=int, default=370, help="batches of 128 that are read; 370 are an epoch")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(ARCHIVE.find()) as archive:
            archive.extractall(folder, filter="data")
        begin, busy = time.perf_counter(), _busy()
        with Memory() as memory:
            data = datasets.folder(folder, given.size, limit=0)
        seconds = time.perf_counter() - begin
        files = sum(len(part) for part in (data.train, data.valid, data.test) if part is not None)
        looked = {
            "pictures": files,
            "pictures_per_s": round(files / seconds, 1),
            "cores": round((_busy() - busy) / seconds, 2),
            "most_memory_mb": round(memory.most / 2**20),
        }
        print(f"look at every file: {looked}", flush=True)
        assert isinstance(data.train, Files)
        rows = []
        for workers in (0, 1, 2):
            rows.append(read(data.train, workers, min(given.steps, len(data.train) // BATCH)))
            print(f"read: {rows[-1]}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"size": given.size, "look": looked, "read": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Several processes for one run: started together, signalled together, ended together.

Every rank is the same command with its number in the environment. They sit in process groups of their own, so that a
Ctrl-C reaches them once, through here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

RANK = "DESCEND_RANK"
STOPPED = (75, 130, 143)
"""Codes of a rank that was asked to stop, as all were: rank 0 has said so for them."""
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_GRACE = 10.0
"""Seconds that ranks have to end by themselves once one has failed; they may be waiting for it."""


def inside() -> bool:
    """Whether this process is a rank already."""
    return RANK in os.environ


def first() -> bool:
    """Whether this process is the one that shows and writes."""
    return os.environ.get(RANK, "0") == "0"


def launch(words: Sequence[str], ranks: int) -> int:
    """Run ``descend words`` as so many ranks; returns the code of the first that failed, 0 if none did.

    Standard output is rank 0's alone. What another rank says on standard error is shown if it was the first to fail.
    """
    with tempfile.TemporaryDirectory(prefix="descend-") as folder:
        meeting = {"DESCEND_RANKS": str(ranks), "DESCEND_RENDEZVOUS": f"file://{folder}/meeting"}
        said = [Path(folder) / f"{rank}.txt" for rank in range(ranks)]
        processes: list[subprocess.Popen] = []
        handlers = {number: signal.signal(number, lambda number, _: _send(processes, number)) for number in _FORWARDED}
        try:
            for rank in range(ranks):
                out = None if rank == 0 else subprocess.DEVNULL
                with said[rank].open("wb") as quiet:
                    errors: IO | None = None if rank == 0 else quiet
                    processes.append(
                        subprocess.Popen(
                            [sys.executable, "-m", "descend", *words],
                            stdin=subprocess.DEVNULL,
                            stdout=out,
                            stderr=errors,
                            env={**os.environ, **_shared_threads(ranks), **meeting, RANK: str(rank)},
                            process_group=0,
                        )
                    )
            failed = _wait(processes)
            if failed is None:
                return 0
            code = processes[failed].returncode
            if code not in STOPPED:
                sys.stderr.write(said[failed].read_text("utf-8", "replace"))
            if code < 0:
                print(f"descend: rank {failed} of {ranks} was ended by {signal.Signals(-code).name}", file=sys.stderr)
            return code if code > 0 else 128 - code
        finally:
            _kill(processes)
            for process in processes:
                process.wait()
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _wait(processes: Sequence[subprocess.Popen]) -> int | None:
    """Until all have ended; the number of the rank that failed first, None if none did."""
    failed, deadline = None, float("inf")
    while [process for process in processes if process.poll() is None]:  # a list, so that every rank is asked
        if failed is None:
            failed = next((rank for rank, process in enumerate(processes) if process.returncode), None)
            deadline = float("inf") if failed is None else time.monotonic() + _GRACE
        if time.monotonic() > deadline:
            _kill(processes)
        time.sleep(0.05)
    if failed is None:
        failed = next((rank for rank, process in enumerate(processes) if process.returncode), None)
    return failed


def _send(processes: Sequence[subprocess.Popen], number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)


def _kill(processes: Sequence[subprocess.Popen]) -> None:
    """End what still runs, with the worker processes of each."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def _shared_threads(ranks: int) -> dict[str, str]:
    """Ranks of one machine share its cores."""
    if "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // ranks))}

"""Workers: processes that read batches ahead of the training, in step order.

Of W workers, number w reads the batches of steps w, w + W, w + 2W, … after the first, each over a pipe of its own, so
that a slow one can delay a batch but never change the order, and a dead one is seen at once as the end of its pipe.
At most ``ahead`` batches a worker are asked for and not yet taken: that bounds the memory. torch's DataLoader is not
used because a worker that dies raises there in the main thread at any instant, also in the middle of an update.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import torch.multiprocessing  # lets pipes hand tensors over in shared memory

from descend.data.batch import Batch
from descend.data.data import Data
from descend.data.order import Order


class WorkerDied(Exception):
    """A worker process ended by itself; the text says how."""


class Workers:
    """Processes that gather the batches of ``first``, ``first`` + 1, …

    Args:
        data: what is read; its ``gather`` runs in the workers.
        order: which samples a step takes.
        first: the first step.
        rank, ranks: whose share of each batch.
        workers: processes, 1 or more.
        ahead: batches that each worker may have made or begun before they are taken.
    """

    def __init__(
        self, data: Data, order: Order, first: int, rank: int = 0, ranks: int = 1, workers: int = 1, ahead: int = 2
    ):
        self.step = first
        self.ahead = ahead
        self._first = first
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        # A fork takes the data along as they are, closures too, and imports nothing anew; elsewhere than on Linux
        # system libraries do not survive it.
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
        for _ in range(workers):
            ours, theirs = context.Pipe()
            self._pipes.append(ours)
            process = context.Process(  # type: ignore[attr-defined]
                target=_work, args=(data, order, rank, ranks, theirs, tuple(self._pipes)), daemon=True
            )
            with warnings.catch_warnings():
                # Python warns of forks beside threads; the workers take no lock that a thread of ours could hold.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            self._processes.append(process)
        for step in range(first, first + workers * ahead):
            self._ask(step)

    def take(self) -> Batch:
        """The next step's batch.

        Raises:
            WorkerDied: instead of answering.
            Exception: what reading raised, with the worker's traceback as a note.
        """
        place = (self.step - self._first) % len(self._pipes)
        try:
            answer = self._pipes[place].recv()
        except (EOFError, OSError):
            raise WorkerDied(self._end(place)) from None
        self._ask(self.step + len(self._pipes) * self.ahead)
        self.step += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.kill()
            process.join()

    def _ask(self, step: int) -> None:
        with suppress(OSError):  # a dead one is told of when its batch is due
            self._pipes[(step - self._first) % len(self._pipes)].send(step)

    def _end(self, place: int) -> str:
        process = self._processes[place]
        process.join(5)
        code = process.exitcode
        return f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _work(data: Data, order: Order, rank: int, ranks: int, pipe: Connection, others: Sequence[Connection]) -> None:
    """A worker's life: a step comes in, its batch goes out, until the pipe ends."""
    # Ctrl-C goes to the whole group of processes; the training finishes its step and needs the batch.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    for other in others:  # a fork's copies of the other ends would keep the pipes open when the training is killed
        other.close()
    while True:
        try:
            step = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = data.gather(order.index(step, rank, ranks))
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))
            error.__cause__ = None
            answer = _portable(error)
        try:
            pipe.send(answer)
        except OSError:
            return
        except Exception as error:  # the batch cannot be pickled
            pipe.send(_portable(error))


def _portable(error: Exception) -> Exception:
    """The same where it survives pickling there and back, else its words."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            plain.add_note(note)
        return plain

"""A run on disk: one folder, held by one process.

run.json        what was run: recipe, arguments, seed, versions, data, compute, commit
metrics.jsonl   one line a log point
scores.json     what the run reached
checkpoints/    what it remembers
model/          the best predictor
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descend.engine.checkpoint import Checkpoints, replace_text
from descend.engine.errors import UsageError


class Run:
    """A run's folder, locked while this object is open.

    >>> with Run.create(Path("runs/mine"), {"seed": 0}) as run:
    ...     fit(task, stream, steps=1000, run=run)
    """

    def __init__(self, folder: Path, lock: bool = True):
        self.folder = Path(folder)
        self.checkpoints = Checkpoints(self.folder / "checkpoints")
        self._lock = _lock(self.folder) if lock else None

    @classmethod
    def create(cls, folder: Path, description: Mapping[str, Any]) -> Run:
        """Begin a run in a new or empty folder.

        Raises:
            UsageError: there is a run already, or another process trains into the folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        run = cls(folder)
        if (folder / "run.json").exists():
            run.close()
            raise UsageError(
                f"{folder} already holds a run: go on with `descend resume {folder}`, or choose another --out"
            )
        run.describe(description)
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Take up a run that was begun before.

        Raises:
            UsageError: there is none, or another process trains into the folder.
        """
        read_description(folder)
        return cls(Path(folder))

    @property
    def description(self) -> dict[str, Any]:
        return read_description(self.folder)

    def describe(self, description: Mapping[str, Any]) -> None:
        replace_text(self.folder / "run.json", json.dumps(description, indent=2) + "\n")

    def chose(self, compute: Mapping[str, Any], notes: list[str]) -> None:
        """Write into run.json how the run computes, and what the engine tried to find that out."""
        written = self.description
        written["compute"] = {**written.get("compute", {}), **compute, "notes": notes, "chosen": True}
        self.describe(written)

    def log(self, line: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, step: int) -> None:
        """Drop the log lines after ``step``: they are about to be made again."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_text("utf-8").splitlines() if _step(line) <= step]
            replace_text(path, "".join(line + "\n" for line in kept))

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_description(folder: Path) -> dict[str, Any]:
    """What run.json says.

    Raises:
        UsageError: the folder holds no run, or run.json is broken.
    """
    path = Path(folder) / "run.json"
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{folder} holds no run: there is no run.json in it") from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error})") from None


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise UsageError(
            f"another process (pid {holder}) trains into {folder}: wait for it, or choose another --out"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _step(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):  # the line that was being written when the process was killed
        return float("inf")

"""Checkpoints: all that a run remembers, committed whole or not at all.

A checkpoint is a folder ``000400/`` with ``tensors.safetensors``, ``state.json`` and ``manifest.json``. It is written
under another name, synced, given its manifest (sizes and SHA-256) last, and renamed: whatever has the final name is
complete. A folder that fails its manifest is refused by name, and the newest good one is taken. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FILES = ("tensors.safetensors", "state.json")
_NAME = re.compile(r"\d{6,}")


class CheckpointError(ValueError):
    """A checkpoint cannot be trusted; the message names it and says what is wrong."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie; made at the first `save`.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int = 2):
        self.folder = Path(folder)
        self.keep = keep

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Commit the state after ``step`` steps. On any error (a full disk) the older checkpoints stay as they are."""
        self.folder.mkdir(parents=True, exist_ok=True)
        final, unfinished = self.folder / f"{step:06d}", self.folder / f".{step:06d}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            write_state(unfinished, state)
            manifest = {
                name: {"bytes": (unfinished / name).stat().st_size, "sha256": digest(unfinished / name)}
                for name in FILES
            }
            write_text(unfinished / "manifest.json", json.dumps({"format": 1, "step": step, "files": manifest}))
            if final.exists():
                shutil.rmtree(final)
            unfinished.rename(final)
            sync(self.folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self.folder / f"{old:06d}", ignore_errors=True)
        return final

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(p.name) for p in self.folder.iterdir() if p.is_dir() and _NAME.fullmatch(p.name))

    def load(self, step: int) -> dict[str, Any]:
        """The state of one checkpoint, its files checked against the manifest before they are read.

        Raises:
            CheckpointError: it is torn, changed, or not of this format.
        """
        return load_checkpoint(self.folder / f"{step:06d}")

    def newest(self) -> tuple[int, dict[str, Any], list[str]] | None:
        """The newest good checkpoint as (step, state, refusals): what was wrong with each newer one."""
        refused: list[str] = []
        for step in reversed(self.steps()):
            try:
                return step, self.load(step), refused
            except CheckpointError as error:
                refused.append(str(error))
        if refused:
            raise CheckpointError("no checkpoint is good: " + "; ".join(refused))
        return None


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Check and read one checkpoint folder."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        files, step = manifest["files"], manifest["step"]
        listed = sorted(files) == sorted(FILES) and manifest["format"] == 1
        expected = {name: (files[name]["bytes"], files[name]["sha256"]) for name in FILES} if listed else {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint {folder} has no readable manifest.json ({_line(error)})") from None
    if not listed:
        # Only two names are ever opened, so a manifest that lists "../x" cannot lead out of the folder.
        raise CheckpointError(
            f"checkpoint {folder}: manifest.json must list {' and '.join(FILES)} in format 1; "
            f"it lists {', '.join(map(repr, files)) or 'nothing'}"
        )
    if f"{step:06d}" != folder.name:
        raise CheckpointError(f"checkpoint {folder}: manifest.json says step {step!r}")
    for name, (size, sha256) in expected.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise CheckpointError(f"checkpoint {folder}: {name} is missing")
        if path.stat().st_size != size:
            raise CheckpointError(f"checkpoint {folder}: {name} has {path.stat().st_size} bytes, manifest says {size}")
        if digest(path) != sha256:
            raise CheckpointError(f"checkpoint {folder}: {name} was changed: its SHA-256 is not the manifest's")
    return read_state(folder)


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Nested dictionaries of plain values and tensors as two files, synced."""
    tensors: dict[str, Tensor] = {}
    plain = pack(state, tensors)
    save_file(tensors, folder / FILES[0])
    sync(folder / FILES[0])
    write_text(folder / FILES[1], json.dumps(plain))


def read_state(folder: Path) -> dict[str, Any]:
    """The state that `write_state` wrote.

    Raises:
        CheckpointError: the files are not what `write_state` writes (a pickle, a header that lies).
    """
    try:
        tensors = load_file(folder / FILES[0])
        return unpack(json.loads((folder / FILES[1]).read_text()), tensors)
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(f"checkpoint {folder} cannot be read ({_line(error)})") from None


def pack(value: Any, tensors: dict[str, Tensor], path: str = "") -> Any:
    """The value with each tensor replaced by {"tensor": its path}; the tensors themselves go into ``tensors``."""
    if isinstance(value, Tensor):
        # A view is saved as itself, and a tensor that shares memory with another as its own copy.
        tensors[path] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": path}
    if isinstance(value, Mapping):
        if set(value) == {"tensor"}:
            raise ValueError(f"{path}: a dictionary of the single key 'tensor' cannot be saved; name it otherwise")
        strange = [key for key in value if not isinstance(key, str)]
        if strange:
            raise TypeError(f"{path or 'the state'} has the key {strange[0]!r}: state is keyed by strings")
        return {key: pack(inner, tensors, f"{path}/{key}" if path else key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [pack(inner, tensors, f"{path}/{i}") for i, inner in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path} is a {type(value).__name__}: state holds tensors, numbers, strings, lists, dictionaries")


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"tensor"}:
            return tensors[value["tensor"]]
        return {key: unpack(inner, tensors) for key, inner in value.items()}
    if isinstance(value, list):
        return [unpack(inner, tensors) for inner in value]
    return value


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write and sync, so that what is renamed afterwards is on the disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new, never half of it."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    write_text(unfinished, text)
    unfinished.replace(path)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

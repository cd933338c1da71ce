"""Run folders as the engine writes them, made by hand."""

import json
import math
from pathlib import Path
from typing import Any


def lines(steps: int = 240, valid: bool = True) -> list[dict[str, Any]]:
    """A run that learns: the loss falls, validation follows and levels off."""
    found = []
    for step in range(2, steps + 1, 2):
        line = {
            "step": step,
            "epoch": step / 12,
            "seconds": step * 0.02,
            "samples_per_s": 24000.0,
            "lr": 1e-3 * (1 + math.cos(math.pi * step / steps)) / 2,
            "train/loss": 2.3 * math.exp(-step / 30) + 0.02,
        }
        if valid and step % 12 == 0:
            line |= {
                "valid/loss": 2.3 * math.exp(-step / 32) + 0.08,
                "valid/accuracy": 0.98 - 0.9 * math.exp(-step / 25),
            }
        found.append(line)
    return found


def scores(classes: tuple[str, ...] = ("zero", "one", "two")) -> dict[str, Any]:
    n = len(classes)
    return {
        "goal": {"metric": "accuracy", "mode": "max"},
        "best": {"step": 204, "value": 0.9833},
        "step": 240,
        "stopped": "",
        "valid": {"accuracy": 0.9833, "loss": 0.081},
        "test": {"accuracy": 0.9722, "loss": 0.1032},
        "confusion": [[17 if i == j else int((i, j) == (2, 0)) * 4 for j in range(n)] for i in range(n)],
        "classes": list(classes),
        "seconds": {
            "total": 5.83,
            "data": 0.21,
            "forward": 1.2,
            "backward": 2.1,
            "optimizer": 0.4,
            "engine": 0.2,
            "evaluate": 0.41,
            "checkpoint": 0.1,
            "other": 1.21,
        },
        "samples_per_s": 24012.1,
        "parameters": 17226,
    }


def description(**changed: Any) -> dict[str, Any]:
    return {
        "recipe": {
            "name": "digits",
            "source": "/x/src/descend/recipes/digits.py",
            "sha256": "ab",
            "seed": 3,
            "arguments": {"hidden": {"tuple": [128, 64]}, "lr": 0.001, "flip": False, "data": {"path": "a b.csv"}},
        },
        "seed": 3,
        "steps": 240,
        "batch": 128,
        "data": {"name": "digits", "fingerprint": "ab12", "train": 1437, "valid": 180, "test": 180},
        "compute": {
            "device": "cpu",
            "precision": "float32",
            "compile": False,
            "graph": False,
            "products": False,
            "onednn": True,
            "micro": 4,
            "threads": 2,
            "ranks": 1,
            "notes": [],
        },
        "versions": {"descend": "0.1.0", "torch": "2.13.0"},
        "commit": "0ab1",
        **changed,
    }


def folder(
    path: Path, log: list[dict[str, Any]], reached: dict[str, Any] | None, run: dict[str, Any] | None = None
) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "run.json").write_text(json.dumps(run or description()))
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    if reached is not None:
        (path / "scores.json").write_text(json.dumps(reached))
    return path

"""The line that repeats a run, out of its run.json."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHOICES = ("device", "precision", "compile", "graph", "channels_last", "hold_memory", "products", "onednn", "threads")
"""What `descend train` can be told of the compute, in the order in which its help has it."""


def command(run: Mapping[str, Any]) -> str:
    """The line that repeats a run."""
    recipe, compute = run["recipe"], run.get("compute") or {}
    source = Path(str(recipe.get("source", "")))
    words = ["descend", "train", recipe["name"] if source.parent.parts[-2:] == ("descend", "recipes") else str(source)]
    for name, value in recipe.get("arguments", {}).items():
        words += _words("--" + name.replace("_", "-"), plain(value))
    words += ["--seed", str(recipe.get("seed", 0))]
    if run.get("steps") is not None and "steps" not in recipe.get("arguments", {}):
        words += ["--steps", str(run["steps"])]
    words += chosen(compute)
    for name in ("micro", "ranks"):
        if compute.get(name, 1) != 1:
            words += [f"--{name}", str(compute[name])]
    return shlex.join(words)


def chosen(compute: Mapping[str, Any]) -> list[str]:
    """The words that make another run compute as a run.json says. What was chosen by measuring is told, because
    measured again it might come out otherwise."""
    words = []
    for name in CHOICES:
        value = compute.get(name)
        if value is not None:
            option = "--" + name.replace("_", "-")
            words += [option, ("off", "on")[value] if isinstance(value, bool) else str(value)]
    return words


def _words(option: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, list):
        return [option, *map(str, value)]
    return [option, str(value)]


def plain(value: Any) -> Any:
    """An argument as run.json holds it ({"tuple": [128, 64]}, {"path": "x.csv"}) as plain values."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, inner),) = value.items()
        if kind == "tuple":
            return [plain(each) for each in inner]
        if kind in ("path", "float", "function"):
            return inner
    return value

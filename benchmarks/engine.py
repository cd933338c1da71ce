"""Compare the engine with what people train with today: one model, batch, optimizer and data, side by side in one run.

    python benchmarks/engine.py                                   # everything; an hour on two cores
    python benchmarks/engine.py --workloads mlp cnn --systems textbook ours ours_best
    python benchmarks/engine.py --json benchmarks/results/engine.json

Each figure is taken in a process of its own, and the systems take turns, so that a slow minute of the machine hits all
of them. Rows: {workload, system, setting, samples_per_s, n, spread, ratio_to_textbook, share_of_limit}; a sample is a
letter where the workload is text. The ratio is the median over turns of the ratio within a turn; the spread is the
interquartile range over the median. Peers are installed into an environment of their own, beside the project.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workloads import WORKLOADS

HOME = Path(__file__).resolve().parent
PEERS = HOME.parent / "build" / "peers"
"""Environment of the peers."""
NEEDED = ("torch==2.13.0", "lightning==2.6.*", "transformers[torch]==5.*", "keras==3.*", "jax[cpu]", "optax")
SYSTEMS = {
    "textbook": "DataLoader, eager",
    "eager": "tensors, by hand, eager, fused AdamW",
    "tensors": "tensors, by hand, torch.compile",
    "ours": "descend, float32, not compiled",
    "ours_best": "descend, everything left open",
    "lightning": "Lightning",
    "trainer": "transformers' Trainer",
    "keras_torch": "Keras 3 on torch",
    "keras_jax": "Keras 3 on JAX",
    "jax_loop": "JAX and optax, a jitted step",
    "jax_scan": "JAX and optax, a scan over 16 steps",
}
"""File in systems/ or peers/, and its setting in words."""
LEFT_OUT = {("jax_scan", "cnn"), ("jax_scan", "resnet20")}
"""XLA on CPU runs a convolution inside a loop on one thread, without its fast kernels: 50 pictures/s, against 860
without the loop, and minutes to the first of them."""
THEIRS = ("lightning", "trainer", "keras_torch", "keras_jax", "jax_loop", "jax_scan")


def peers() -> str:
    """The interpreter of the peers' environment, which is made where it is missing."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *NEEDED], check=True)
    return str(python)


def one(system: str, workload: str) -> dict[str, Any]:
    """Measure in a fresh process."""
    python = peers() if system in THEIRS else sys.executable
    words = [python, str(HOME / "engine.py"), "--one", system, workload]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    if done.returncode:
        raise SystemExit(f"{system} on {workload} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def rows(name: str, systems: list[str], turns: int) -> list[dict[str, Any]]:
    """Of one workload."""
    workload = WORKLOADS[name]
    taken: dict[str, list[dict[str, Any]]] = {each: [] for each in systems if (each, name) not in LEFT_OUT}
    limits = []
    for turn in range(turns):
        limits.append(one("limit", name))
        for system, figures in taken.items():
            figures.append(one(system, name))
            print(f"{name} {system} {turn}: {figures[-1]}", file=sys.stderr, flush=True)
    limit = {kind: statistics.median(each[kind] for each in limits) for kind in ("float32", "bfloat16")}
    found = []
    for system, figures in taken.items():
        rates = [each["samples_per_s"] * workload.unit for each in figures]
        middle = statistics.median(rates)
        pairs = zip(figures, taken.get("textbook", figures), strict=True)
        ratio = statistics.median(a["samples_per_s"] / b["samples_per_s"] for a, b in pairs)
        precision = figures[-1].get("precision", "float32")
        quarters = statistics.quantiles(rates, n=4) if turns > 1 else [middle] * 3
        found.append(
            {
                "workload": name,
                "system": system,
                "setting": SYSTEMS[system],
                "samples_per_s": round(middle, 1),
                "n": turns,
                "spread": round((quarters[2] - quarters[0]) / middle, 3),
                "ratio_to_textbook": round(ratio, 2) if "textbook" in taken else None,
                "share_of_limit": round(middle / workload.unit * workload.flops / limit[precision], 3),
                "first_step_s": round(statistics.median(each["first_step_s"] for each in figures), 2),
                **{key: figures[-1][key] for key in ("notes", "shares") if key in figures[-1]},
            }
        )
    return found


IMPORTS = ("torch", "descend", "descend, all", "lightning", "transformers", "keras", "jax")
"""Timed as a user meets them: a fresh process, caches warm."""


def imports(turns: int) -> list[dict[str, Any]]:
    """Seconds until each package is there, with torch where it brings torch; of ours, the root, and all that a
    script needs."""
    found = []
    for name in IMPORTS:
        python, taken = sys.executable if name.partition(",")[0] in ("torch", "descend") else peers(), []
        words = {
            "descend": "import torch, descend",
            "descend, all": "import descend.data, descend.engine, descend.models, descend.optim, descend.tasks",
            "transformers": "from transformers import Trainer",
            "lightning": "from lightning import Trainer",
            "keras": "import os; os.environ['KERAS_BACKEND'] = 'torch'; import keras",
        }
        code = f"import time; b = time.perf_counter(); {words.get(name, f'import {name}')}; "
        for _ in range(turns + 1):  # the first one fills the caches
            done = subprocess.run(
                [python, "-c", code + "print(time.perf_counter() - b)"], capture_output=True, text=True, check=True
            )
            taken.append(float(done.stdout.strip().splitlines()[-1]))
        found.append({"workload": "import", "system": name, "seconds": round(statistics.median(taken[1:]), 2)})
    return found


def against(found: list[dict[str, Any]]) -> str:
    """The engine's rate over each other system's, by workload."""
    lines = []
    for name in dict.fromkeys(row["workload"] for row in found):
        rates = {row["system"]: row["samples_per_s"] for row in found if row["workload"] == name}
        for own in ("ours", "ours_best"):
            if own in rates:
                ratios = (f"{other} {rates[own] / rate:.2f}" for other, rate in rates.items() if other != own)
                lines.append(f"{name:10} {own:10} × " + ", ".join(ratios))
    return "\n".join(lines)


def shown(found: list[dict[str, Any]]) -> str:
    names = f"{'workload':10} {'system':10} {'samples/s':>12} {'spread':>7} {'× textbook':>10} {'of limit':>8}"
    lines = [f"{names} {'first step':>10}"]
    for row in found:
        ratio = f"{row['ratio_to_textbook']:.2f}" if row["ratio_to_textbook"] else ""
        lines.append(
            f"{row['workload']:10} {row['system']:10} {row['samples_per_s']:12,.0f} {row['spread']:7.1%} {ratio:>10} "
            f"{row['share_of_limit']:8.1%} {row['first_step_s']:8.2f} s"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--imports", action="store_true", help="also how long it takes to import each package")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        system, workload = told.one
        if system == "limit":
            from descend.engine.limits import measure

            print(json.dumps(asdict(measure())))
        else:
            print(
                json.dumps(
                    importlib.import_module(f"{'peers' if system in THEIRS else 'systems'}.{system}").measure(
                        WORKLOADS[workload]
                    )
                )
            )
        return
    found: list[dict[str, Any]] = []
    loaded = imports(told.turns) if told.imports else []
    for name in told.workloads:
        found += rows(name, told.systems, told.turns)
        if told.json:  # after each, so that a run that is cut short is not lost
            told.json.parent.mkdir(parents=True, exist_ok=True)
            told.json.write_text(json.dumps(found + loaded, indent=1) + "\n")
    print(shown(found))
    print(against(found))
    for row in loaded:
        print(f"import {row['system']:12} {row['seconds']:.2f} s")


if __name__ == "__main__":
    main()

"""The engine's table on a GPU: one command, under ten minutes, no network, torch 2.11 or newer with CUDA and numpy.

    python benchmarks/gpu.py --json benchmarks/results/gpu.json
    python benchmarks/gpu.py --device cpu --workloads mlp --seconds 60     # a rehearsal without one

The systems of `engine.py` that are ours or a loop by hand, each in a process of its own. Rows: {device, workload,
system, setting, samples_per_s, ratio_to_textbook, share_of_limit, first_step_s, shares, notes}, one measurement each,
written after it; the largest workload comes first, and what does not fit into the time is left out and named. Packages
of the project that are missing there, and that measuring does not need, are stood in for.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

HOME = Path(__file__).resolve().parent
SYSTEMS = ("textbook", "eager", "tensors", "ours", "ours_best")
UNNEEDED = ("jaxtyping", "PIL", "safetensors", "safetensors.torch")
"""Packages whose names the engine imports and whose code a measurement never runs."""
EACH = 120.0
"""Seconds of one measurement at most: one that hangs must not take the others' time."""


def one(system: str, workload: str, device: str) -> dict[str, Any]:
    """Measure, in this process."""
    sys.path[:0] = [str(HOME), str(HOME.parent / "src")]
    for name in [name for name in UNNEEDED if importlib.util.find_spec(name.partition(".")[0]) is None]:
        sys.modules[name] = stand_in = MagicMock()
        stand_in.__spec__ = ModuleSpec(name, None)  # the compiler asks every module for it
    if system == "limit":
        from descend.engine.limits import measure

        return asdict(measure(device))
    from workloads import WORKLOADS

    return importlib.import_module(f"systems.{system}").measure(WORKLOADS[workload], device)


def apart(system: str, workload: str, device: str, seconds: float) -> dict[str, Any] | str:
    """Measure in a process of its own; or why that failed."""
    words = [sys.executable, __file__, "--one", system, workload, "--device", device]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"it took more than {seconds:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it died without a word"])[-1]
    return json.loads(done.stdout.strip().splitlines()[-1])


def name_of(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device != "cpu" else "cpu"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--workloads", nargs="+")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--seconds", type=float, default=570.0, help="for all of it")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        system, workload = told.one
        print(json.dumps(one(system, workload, told.device)))
        return
    end = time.monotonic() + told.seconds
    sys.path[:0] = [str(HOME)]
    from workloads import WORKLOADS

    from engine import SYSTEMS as SETTINGS

    if told.json:
        told.json.parent.mkdir(parents=True, exist_ok=True)
        told.json.write_text("[]\n")
    found, device = [], name_of(told.device)
    limit = apart("limit", "", told.device, EACH)
    if isinstance(limit, str):
        raise SystemExit(f"the limits of {told.device} cannot be measured: {limit}")
    for workload in told.workloads or reversed(WORKLOADS):
        textbook = None
        for system in told.systems:
            left = end - time.monotonic()
            measured = apart(system, workload, told.device, min(left, EACH)) if left > 0 else "no time was left"
            if isinstance(measured, str):
                print(f"{workload:10} {system:10} left out: {measured}", flush=True)
                continue
            rate = measured["samples_per_s"] * WORKLOADS[workload].unit
            textbook = rate if system == "textbook" else textbook
            most = limit[measured.get("precision", "float32")]
            found.append(
                {
                    "device": device,
                    "workload": workload,
                    "system": system,
                    "setting": SETTINGS[system],
                    "samples_per_s": round(rate, 1),
                    "ratio_to_textbook": round(rate / textbook, 2) if textbook else None,
                    "share_of_limit": round(measured["samples_per_s"] * WORKLOADS[workload].flops / most, 3),
                    "first_step_s": round(measured["first_step_s"], 2),
                    "shares": measured.get("shares"),
                    "notes": measured.get("notes", []),
                }
            )
            times = f"{rate / textbook:6.2f} × textbook" if textbook else ""
            print(f"{workload:10} {system:10} {rate:12,.0f} samples/s {times}", flush=True)
            if told.json:
                told.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

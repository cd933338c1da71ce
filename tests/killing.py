"""Runs in processes of their own, killed at random instants.

A server process imports what they need once and forks each run, so that a death costs the test no import.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import time
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from descend.engine import Checkpoints, Compute, find_recipe, resume, train

KILLS = 3
BETWEEN = 0.1
"""Seconds between two checkpoints."""


@dataclass(frozen=True)
class Page:
    """A recipe in a file, and how it is run.

    Attributes:
        given: arguments of the recipe.
        compute: arguments of `Compute`.
    """

    source: Path
    name: str = "page"
    seed: int = 0
    given: dict = field(default_factory=dict)
    compute: dict = field(default_factory=dict)


def unbroken(page: Page, folder: Path) -> int:
    """Run the page to its end; how many steps that takes."""
    process = _start(page, folder)
    process.join()
    assert process.exitcode == 0, f"the unbroken run of {page} failed"
    return Checkpoints(folder / "checkpoints").steps()[-1]


def killed(page: Page, folder: Path, steps: int) -> list[int]:
    """Run the page to its end, on the way killed (SIGKILL) at three random instants and resumed; the newest checkpoint
    at each of them."""
    chance, found = random.Random(f"{page.source.stem} {page.name} {page.seed}"), []
    checkpoints = Checkpoints(folder / "checkpoints")
    for share in sorted(chance.uniform(0.05, 0.85) for _ in range(KILLS)):
        before = shutil.copytree(folder, folder.with_name("before")) if folder.exists() else None
        # A fast run may be over before the signal: then once more, from what was there, and sooner.
        for sooner in range(5):
            if _kill(page, folder, share * steps, chance.uniform(0, BETWEEN / 2**sooner)):
                break
            shutil.rmtree(folder)
            if before is not None:
                shutil.copytree(before, folder)
        else:
            raise AssertionError(f"{page} ended by itself, five times, before it was killed")
        found.append((checkpoints.steps() or [0])[-1])
        if before is not None:
            shutil.rmtree(before)
    unbroken(page, folder)
    return found


def _kill(page: Page, folder: Path, step: float, wait: float) -> bool:
    """Whether the run could be killed, ``wait`` seconds after a checkpoint of that step or a later one."""
    process = _start(page, folder)
    checkpoints = Checkpoints(folder / "checkpoints")
    while process.is_alive() and (checkpoints.steps() or [0])[-1] < step:
        time.sleep(0.002)
    # The loop ended as a checkpoint was committed; the instant is to be any between that one and later ones.
    time.sleep(wait)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9), f"{page} failed, with {process.exitcode}, before it was killed"
    return process.exitcode == -9


def differing(one: Path, other: Path) -> list[str]:
    """What is not equal in the last checkpoints: the tensors byte for byte, and all plain state but the time spent."""
    last = [sorted((folder / "checkpoints").glob("[0-9]*"))[-1] for folder in (one, other)]
    tensors = {(folder / "tensors.safetensors").read_bytes() for folder in last}
    plain = [json.loads((folder / "state.json").read_text()) for folder in last]
    names = [name for name in plain[0] | plain[1] if name != "spent" and plain[0].get(name) != plain[1].get(name)]
    return ["tensors"] * (len(tensors) > 1) + names


def _start(page: Page, folder: Path) -> ForkServerProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.killing", "torch._dynamo", "torchmetrics", "sklearn.datasets"])
    process = context.Process(target=_work, args=(page, folder))
    process.start()
    return process


def _work(page: Page, folder: Path) -> None:
    if (folder / "run.json").exists():
        resume(folder, checkpoint_seconds=BETWEEN)
    else:
        experiment = find_recipe(page.source, page.name)(seed=page.seed, **page.given)
        # Nothing is chosen by the clock, because two runs are compared.
        train(experiment, folder, Compute(threads=1, **page.compute).settled(), checkpoint_seconds=BETWEEN)

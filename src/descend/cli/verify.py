"""``descend verify``: two promises of the engine, proven on any recipe by running it in other processes.

resume       killed (SIGKILL) at three random instants and resumed, a run ends with the bits of an unbroken one
invariance   4 micro-batches, or 2 ranks, give the weights of the whole batch on one rank, to 1e-5 of their norm
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descend.cli import pages
from descend.cli.arguments import order
from descend.cli.train import Options, description_of
from descend.cli.wrong import Wrong, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from descend.engine import Experiment

KILLS = 3
EVERY = 0.1
"""Least seconds between the checkpoints of a run that is to be killed."""
SHORTEST = 1.0
"""Seconds of training in which three kills find room."""
STEPS = 20
"""Of an invariance run. Rounding differs from split to split, and training amplifies it step by step."""
TOLERANCE = 1e-5
_OURS = ("out", "resume", "json", "checkpoint", "ranks", "micro")


def verify(words: Sequence[str]) -> int:
    """Prove a promise on a recipe."""
    proofs = {"resume": _resume, "invariance": _invariance}
    if list(words[:1]) in ([], ["-h"], ["--help"]):
        print(
            "descend verify resume RECIPE [--arg value …]\ndescend verify invariance RECIPE [--arg value …]\n"
            f"{(__doc__ or '').partition(':')[2].strip()}"
        )
        return 0 if words else 2
    if words[0] not in proofs:
        raise Wrong(f"{words[0]!r} is not verified{nearest(words[0], proofs)}; there are {', '.join(proofs)}")
    if len(words) < 2 or words[1].startswith("-"):
        raise Wrong(f"name the recipe: descend verify {words[0]} RECIPE")
    with tempfile.TemporaryDirectory(prefix="descend-verify-") as folder:
        return proofs[words[0]](Path(folder), list(words[1:]), f"descend verify {words[0]} {words[1]}")


@dataclass(frozen=True)
class Kill:
    """One violent end of a run.

    Attributes:
        seconds: how long the process had lived.
        step: the newest committed checkpoint then, 0 if there was none.
    """

    seconds: float
    step: int


def _resume(folder: Path, words: Sequence[str], prog: str) -> int:
    _read(words, prog)
    words = [*words, "--checkpoint", str(EVERY)]
    whole, broken = folder / "unbroken", folder / "broken"
    first, last = _watched(whole, [*words, "--out", str(whole)])
    print(
        f"unbroken: {newest(whole)[0]:,} steps, {first:.1f} s to the first checkpoint, {last - first:.1f} s to the last"
    )
    if last - first < SHORTEST:
        raise Wrong(f"the run is too short to be killed {KILLS} times: give it more steps, --steps 2000")
    steps = newest(whole)[0]
    words += _chosen(whole)
    while len(kills := list(_kills(broken, words, first, steps))) < KILLS:
        # Steps were faster than checkpoints, and the run ended ahead of a kill: begin again, with earlier kills.
        shutil.rmtree(broken)
        steps //= 2
    print("\nkill   after    newest checkpoint")
    for number, kill in enumerate(kills, 1):
        print(f"{number:4}  {kill.seconds:5.1f} s   step {kill.step:,}")
    _succeeded(_start([*words, "--out", str(broken), "--resume"]))
    (step, one), (other_step, other) = newest(whole), newest(broken)
    differing = sorted(name for name in {*one, *other} if not _same_bits(one.get(name), other.get(name)))
    print(
        f"\nended at step {step:,} and {other_step:,}: {len(one) - len(differing)} of {len(one)} tensors "
        "(weights, buffers, moments, averages) are equal in every bit"
    )
    if differing or step != other_step:
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        _fail(f"resumed differs from unbroken in {', '.join(differing[:5]) or 'its length'}{more}")
    print("verified: resumed = unbroken")
    return 0


def _watched(folder: Path, words: Sequence[str]) -> tuple[float, float]:
    """Run to the end; the seconds from the start to the first checkpoint and to the last."""
    begin, seen = time.monotonic(), {}
    process = _start(words)
    while process.poll() is None:
        for name in (folder / "checkpoints").glob("[0-9]*"):
            seen.setdefault(name, time.monotonic() - begin)
        time.sleep(0.01)
    _succeeded(process)
    return min(seen.values(), default=0.0), max(seen.values(), default=0.0)


def _kills(folder: Path, words: Sequence[str], first: float, steps: int) -> Iterator[Kill]:
    """Run and kill, resume and kill, …; ends early if the run ends before a kill.

    Three kills in four come a moment after the run has committed a random step; the fourth comes anywhere before the
    process has committed anything: while it starts, reads what was kept, or makes its first steps.
    """
    for target in sorted(random.randrange(1, max(2, steps)) for _ in range(KILLS)):
        process, begin = _start([*words, "--out", str(folder), "--resume"]), time.monotonic()
        if random.random() < 0.75:
            while process.poll() is None and _newest_step(folder) < target:
                time.sleep(0.005)
            time.sleep(random.uniform(0, EVERY))
        else:
            time.sleep(random.uniform(0, first))
        if process.poll() is not None:
            _succeeded(process)
            return
        process.kill()
        lived = time.monotonic() - begin
        process.communicate()
        yield Kill(lived, _newest_step(folder))


def _invariance(folder: Path, words: Sequence[str], prog: str) -> int:
    options, experiment = _read(words, prog)
    words = list(words)
    if "dropout" in _arguments(experiment) and _arguments(experiment)["dropout"]:
        print("dropout is set to 0: its masks are drawn for each part, so they differ from split to split")
        words += ["--dropout", "0"]
        options, experiment = _read(words, prog)
    dropping = [
        name
        for name, module in experiment.task.named_modules()
        if "drop" in type(module).__name__.lower() and getattr(module, "p", 0)
    ]
    if dropping:
        raise Wrong(
            f"{', '.join(dropping)} draws dropout, whose masks differ from split to split: verify the recipe "
            "with its dropout at 0"
        )
    if options.steps is None and "steps" not in _arguments(experiment):
        words += ["--steps", str(STEPS)]
    splits = {"1 part, 1 rank": [], "4 parts, 1 rank": ["--micro", "4"], "1 part, 2 ranks": ["--ranks", "2"]}
    found: dict[str, dict[str, Tensor]] = {}
    coupled = ""
    for number, (name, split) in enumerate(splits.items()):
        out = folder / str(number)
        process = _start([*words, "--out", str(out), *split, *(_chosen(folder / "0") if number else [])])
        _, said = process.communicate()
        if number and process.returncode == 2 and "couples" in said:
            coupled = said.strip().removeprefix("descend: ")
            continue
        _succeeded(process, said)
        found[name] = {key: value for key, value in newest(out)[1].items() if key.startswith("task/")}
    reference = found.pop("1 part, 1 rank")
    worst = 0.0
    for name, tensors in found.items():
        error, tensor = max((_distance(reference[key], tensors[key]), key) for key in reference)
        worst = max(worst, error)
        print(f"{name:16} differs by {error:.1e} of the norm at most, in {tensor.removeprefix('task/')}")
    if coupled:
        # Refused is not broken: the promise is that a split gives the same numbers or none.
        print(f"split runs were refused: {coupled}")
    if worst > TOLERANCE:
        _fail(f"a split batch moves the weights elsewhere: {worst:.1e} of their norm, {TOLERANCE:.0e} is allowed")
    print("verified: " + ("the same weights however the batch is split" if found else "a split is refused, not wrong"))
    return 0


def _chosen(folder: Path) -> list[str]:
    """The words that make another run compute as this one did."""
    from descend.insight.again import chosen

    return chosen(description_of(folder)["compute"])


def newest(folder: Path) -> tuple[int, dict[str, Tensor]]:
    """Step and tensors of a run's last checkpoint."""
    from safetensors.torch import load_file

    step = _newest_step(folder)
    return step, load_file(folder / "checkpoints" / f"{step:06d}" / "tensors.safetensors")


def _newest_step(folder: Path) -> int:
    """Of the last committed checkpoint; 0 if there is none."""
    from descend.engine import Checkpoints

    return max(Checkpoints(folder / "checkpoints").steps(), default=0)


def _read(words: Sequence[str], prog: str) -> tuple[Options, Experiment]:
    """The run's options and the experiment; typos are told here, before any process is started."""
    recipe = pages.find(words[0]).load()
    told = order(recipe, Options, words[1:], prog)
    for name in _OURS:
        if getattr(told.run, name) != getattr(Options, name):
            raise Wrong(f"`{prog}` sets --{name} itself: leave it out")
    return told.run, recipe(**told.arguments, seed=told.run.seed)


def _arguments(experiment: Experiment) -> Any:
    assert experiment.provenance is not None
    return experiment.provenance.arguments


def _start(words: Sequence[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "descend", "train", *words],
        text=True,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _succeeded(process: subprocess.Popen, said: str | None = None) -> None:
    said = process.communicate()[1] if said is None else said
    if process.returncode:
        last = (said.strip().splitlines() or ["it said nothing"])[-1].removeprefix("descend: ")
        raise Wrong(f"the run failed with code {process.returncode}: {last}", process.returncode)


def _same_bits(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    import torch

    return torch.equal(one.contiguous().reshape(-1).view(torch.uint8), other.contiguous().reshape(-1).view(torch.uint8))


def _distance(one: Tensor, other: Tensor) -> float:
    one, other = one.double(), other.double()
    return float((one - other).norm() / one.norm().clamp(min=1e-12))


def _fail(message: str) -> None:
    from descend.engine import VerificationFailed

    raise VerificationFailed(message)

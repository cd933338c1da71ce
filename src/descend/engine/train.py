"""From an experiment to a folder: train, keep the best, score it once on the test split, write down what was done."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from descend import __version__
from descend.data import Shuffle, Splits
from descend.engine import limits
from descend.engine.checkpoint import replace_text
from descend.engine.compute import Compute
from descend.engine.config import describe
from descend.engine.errors import UsageError
from descend.engine.evaluate import evaluate
from descend.engine.experiment import Experiment
from descend.engine.fit import Fitted, fit
from descend.engine.observers import Best, Journal, Observer
from descend.engine.predictor import Predictor, load, weights
from descend.engine.ranks import Ranks
from descend.engine.recipe import rebuild
from descend.engine.run import Run, read_description

SHORT = 5.0
"""Seconds of steps below which a run is not held against the machine's limits: measuring those takes half of one."""


@dataclass(frozen=True)
class Result:
    """What a training run left behind.

    Attributes:
        folder: the run's folder.
        scores: what scores.json says.
        step: steps done.
        experiment: what was trained; on rank 0, its task holds the weights that were kept.
    """

    folder: Path
    scores: Mapping[str, Any]
    step: int
    experiment: Experiment

    @property
    def predictor(self) -> Predictor:
        """The best model, loaded."""
        return load(self.folder)


def train(
    experiment: Experiment,
    out: str | Path,
    compute: Compute | None = None,
    steps: int | None = None,
    observers: Sequence[Observer] = (),
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
) -> Result:
    """Run an experiment into a folder.

    The model that is kept and tested is the one of the evaluation where the validation split's score was best, the
    latest of equals; the last one, where there is no validation split. The test split is looked at once, after that.

    Args:
        experiment: what to train.
        out: the run's folder, new or empty; or, with ``resume``, one that holds the run already.
        compute: device, precision, compilation, …; what it leaves open is chosen before step 0. With ``resume``, what
            run.json says, if None.
        steps: in place of the experiment's own length.
        observers: beside the run's own.
        resume: go on from the newest good checkpoint.
        checkpoint_seconds: least time between checkpoints.

    Raises:
        UsageError: the folder holds a run already, or holds none to resume.
        Diverged, Interrupted: see `fit`.
    """
    folder = Path(out)
    compute = compute or (_recorded(folder) if resume else Compute())
    ranks = Ranks.join(compute.begin().type)
    compute = replace(compute, device=ranks.device(compute.device))
    stream = experiment.stream()
    length = steps if steps is not None else experiment.length(stream)
    # What cannot be written down is said before the first step, not when the best model is to be saved.
    describe([experiment.task, experiment.codec])
    run = None
    if ranks.rank == 0:
        run = Run.open(folder) if resume else Run.create(folder, _describe(experiment, compute, ranks, length))
    ranks.wait()
    # Rank 0 holds the folder's lock; the others only read its checkpoints.
    reader = run or Run(folder, lock=False)
    best = Best(experiment.codec)
    watching = [best, Journal(), *experiment.observers, *observers]
    said = experiment.shuffle.report(experiment.seed) if isinstance(experiment.shuffle, Shuffle) else ""
    if run is not None and said:
        for observer in watching:
            observer.say(said)
    try:
        fitted = fit(
            experiment.task,
            stream,
            steps=length,
            seed=experiment.seed,
            valid=experiment.valid,
            every=experiment.every,
            compute=compute,
            ranks=ranks,
            observers=watching,
            run=reader,
            checkpoint_seconds=checkpoint_seconds,
        )
        ranks.leave()
        if run is None:
            return Result(folder, {}, fitted.step, experiment)
        scores = _score(experiment, run, best, fitted)
        return Result(folder, scores, fitted.step, experiment)
    finally:
        reader.close()


def resume(folder: str | Path, observers: Sequence[Observer] = (), checkpoint_seconds: float = 60.0) -> Result:
    """Go on with the run in a folder, from what its run.json says.

    Raises:
        UsageError: the folder holds no run, or one that was not made by a recipe.
    """
    written = read_description(Path(folder))
    if not written.get("recipe"):
        raise UsageError(
            f"the run in {folder} was not made by a recipe: rebuild its experiment and call "
            f"train(experiment, {str(folder)!r}, resume=True)"
        )
    experiment, warning = rebuild(written["recipe"])
    for observer in observers if warning else ():
        observer.say(warning)
    ranks = written["compute"].get("ranks", 1)
    if Ranks.join(_recorded(Path(folder)).begin().type).size != ranks:
        raise UsageError(f"the run in {folder} was trained by {ranks} rank(s): resume it with --ranks {ranks}")
    return train(experiment, folder, None, written["steps"], observers, True, checkpoint_seconds)


def _recorded(folder: Path) -> Compute:
    """How the run in the folder computes: what was chosen before its step 0 stays chosen."""
    written = read_description(folder).get("compute", {})
    return Compute(**{one.name: written[one.name] for one in fields(Compute) if one.name in written})


def _score(experiment: Experiment, run: Run, best: Best, fitted: Fitted) -> dict:
    """Put the kept weights into the task, score it, write scores.json."""
    began = time.perf_counter()
    task, goal = experiment.task, experiment.task.goal
    if best.value is None:
        with task.averaged():
            Predictor(task, experiment.codec).save(run.folder / "model")
    task.load_state_dict(weights(run.folder / "model"))
    for descent in task.descents().values():
        descent.reset()  # its averages and moments belong to the weights that were just replaced
    splits = {"valid": experiment.valid, "test": experiment.test}
    found = {name: evaluate(task, data, compute=fitted.compute) for name, data in splits.items() if data is not None}
    if isinstance(experiment.data, Splits) and experiment.codec is not None:
        codec = task.complete(experiment.codec, experiment.data)
        if codec is not experiment.codec:
            experiment.codec = codec
            Predictor(task, codec).save(run.folder / "model", found["valid"].scores if "valid" in found else None)
    seconds = {**fitted.seconds, "total": fitted.seconds["total"] + time.perf_counter() - began}
    seconds["other"] = 2 * seconds["total"] - sum(seconds.values())
    if fitted.flops and fitted.working > SHORT:
        rate, precision = fitted.flops_per_s, fitted.compute.precision or "float32"
        share = limits.measure(task.progress.device, fitted.compute.threads).share(rate, precision)
        limit = {"flops_per_s": rate, "share": round(share, 4), "of": f"a matrix product in {precision}"}
    else:
        limit = None
    tables, labels = found["test"].tables if "test" in found else {}, getattr(experiment.codec, "labels", None) or ()
    of_classes = {name: row for name, row in tables.items() if len(row) == len(labels) and isinstance(row[0], float)}
    scores: dict[str, Any] = {
        "goal": {"metric": goal.metric, "mode": type(goal).__name__.lower()},
        "best": {"step": best.step or fitted.step, "value": best.value},
        "step": fitted.step,
        "stopped": fitted.stopped,
        **{name: evaluation.scores for name, evaluation in found.items()},
        **tables,
        "by_class": {name: dict(zip(labels, row, strict=True)) for name, row in of_classes.items()},
        "classes": labels or None,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "samples_per_s": round(fitted.samples / fitted.working, 1) if fitted.working else None,
        "limit": limit,
        "parameters": sum(p.numel() for p in task.parameters()),
    }
    replace_text(run.folder / "scores.json", json.dumps(scores, indent=1) + "\n")
    return scores


def _describe(experiment: Experiment, compute: Compute, ranks: Ranks, steps: int) -> dict[str, Any]:
    """run.json: what is needed to do it again, and to know what was done."""
    data = experiment.data
    split = isinstance(data, Splits)
    return {
        "recipe": experiment.provenance.describe() if experiment.provenance else None,
        "seed": experiment.seed,
        "steps": steps,
        "batch": experiment.batch if split else None,
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint(),
            **{name: len(getattr(data, name) or ()) for name in ("train", "valid", "test")},
        }
        if split
        else {"name": type(data).__name__},
        "compute": {**asdict(compute), "ranks": ranks.size, "notes": []},
        "versions": {
            "descend": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The commit of the working directory, marked where it has changes; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

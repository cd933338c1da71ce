"""``descend train`` and ``descend resume``: from a recipe and words to a folder with everything in it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from descend.cli import pages, ranks
from descend.cli.arguments import Place, order, parse
from descend.cli.wrong import Wrong, nearest

if TYPE_CHECKING:
    from descend.engine import Compute, Experiment, Observer, Result

RUNS = Path("runs")
"""Where runs go that are given no folder."""


def help_text(text: str) -> Any:
    """What ``--help`` says of an option."""
    return tyro.conf.arg(help=text)


Switch = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class Options:
    """What any run can be told, whatever its recipe."""

    out: Annotated[Path | None, help_text("Folder of the run; runs/RECIPE-N where not given.")] = None
    seed: Annotated[int, help_text("Keys everything drawn: initialisation, shuffle, augmentation, dropout.")] = 0
    steps: Annotated[int | None, help_text("Updates, in place of the recipe's own length.")] = None
    device: Annotated[str, help_text("cpu, cuda, cuda:1, mps; auto takes a GPU where there is one.")] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        help_text("Of matrix products; auto takes bfloat16 where it is measured to be faster and right."),
    ] = "auto"
    compile: Annotated[Switch, help_text("Compile the networks; auto does where that pays over the run.")] = "auto"
    graph: Annotated[Switch, help_text("Compile loss and gradients as one graph; auto as above.")] = "auto"
    channels_last: Annotated[Switch, help_text("Lay filters out with their channels last.")] = "auto"
    products: Annotated[Switch, help_text("Attention as two products in place of torch's fused kernel.")] = "auto"
    onednn: Annotated[Switch, help_text("Float32 products by oneDNN in place of MKL.")] = "auto"
    hold_memory: Annotated[Switch, help_text("Keep freed memory in the process.")] = "auto"
    micro: Annotated[int, help_text("Parts in which a batch is worked through; the result is the same.")] = 1
    ranks: Annotated[int, help_text("Processes that share each batch; the result is the same.")] = 1
    threads: Annotated[int | None, help_text("CPU threads of a process; measured where not given.")] = None
    checkpoint: Annotated[float, help_text("Least seconds between checkpoints.")] = 60.0
    resume: Annotated[bool, help_text("Go on with the run in --out if there is one, else begin it.")] = False
    json: Annotated[bool, help_text("Print log points and result as lines of JSON, for machines.")] = False


def train(words: Sequence[str]) -> int:
    """Train a recipe."""
    if not words or words[0].startswith("-"):
        return _train_help(words)
    word, *rest = words
    recipe = pages.find(word).load()
    told = order(recipe, Options, rest, f"descend train {word}")
    run: Options = told.run
    going_on = run.resume and run.out is not None and (run.out / "run.json").exists()
    experiment = recipe(**told.arguments, seed=run.seed)
    if going_on:
        assert run.out is not None
        _same(run.out, experiment)
        return _go_on(run.out, run.checkpoint, run.json)
    if run.ranks < 1:
        raise Wrong(f"--ranks is {run.ranks}: a run has 1 or more processes")
    out = run.out or fresh(recipe.name)
    try:
        if run.ranks > 1 and not ranks.inside():
            return ranks.launch(["train", *words, "--out", str(out)], run.ranks)
        from descend.engine import train as train_

        compute = compute_of(run)
        return _reported(
            out,
            run.json,
            lambda watching: train_(experiment, out, compute, run.steps, watching, checkpoint_seconds=run.checkpoint),
        )
    finally:
        _remove_if_empty(out)


@dataclass(frozen=True)
class Resuming:
    run: Place[Path]
    """Folder of the run."""
    checkpoint: float = 60.0
    """Least seconds between checkpoints."""
    json: bool = False
    """Print log points and result as lines of JSON, for machines."""


def resume(words: Sequence[str]) -> int:
    """Go on where a run was stopped."""
    form = parse(Resuming, words, "descend resume", "Go on where a run was stopped, to the same bits.")
    return _go_on(folder_of(form.run), form.checkpoint, form.json)


def compute_of(run: Options) -> Compute:
    """What the words say about computing; auto leaves it to the engine."""
    from descend.engine import Compute

    told = {each.name: getattr(run, each.name) for each in fields(Compute)}
    words = {"auto": None, "on": True, "off": False}
    return Compute(**{name: words.get(value, value) for name, value in told.items()})


def fresh(name: str) -> Path:
    """A new folder runs/NAME-N with the first free N; mkdir makes it or fails, so two runs never share one."""
    number = 1
    while True:
        folder = RUNS / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def folder_of(folder: Path) -> Path:
    """The folder of a run, if it is there.

    Raises:
        Wrong: it is not; the nearest one that is gets told.
    """
    if folder.is_dir():
        return folder
    there = [str(each) for each in sorted(folder.parent.glob("*")) if each.is_dir()] + [str(p) for p in RUNS.glob("*")]
    raise Wrong(f"there is no folder {folder}{nearest(str(folder), there)}")


def description_of(folder: Path) -> dict[str, Any]:
    from descend.engine.run import read_description

    return read_description(folder)


def _go_on(folder: Path, checkpoint: float, as_json: bool) -> int:
    size = description_of(folder)["compute"].get("ranks", 1)
    if size > 1 and not ranks.inside():
        return ranks.launch(["resume", str(folder), "--checkpoint", str(checkpoint), *["--json"] * as_json], size)
    from descend.engine import resume as resume_

    return _reported(folder, as_json, lambda watching: resume_(folder, watching, checkpoint_seconds=checkpoint))


def _reported(folder: Path, as_json: bool, work: Callable[[Sequence[Observer]], Result]) -> int:
    """Do the work under an observer, write the report however it ends, and say what to type next."""
    from descend.engine import Diverged, Interrupted, screen
    from descend.insight import Samples, looks, report, sheet, ways
    from descend.tasks.generative import Generative

    try:
        result = work([_lines() if as_json else screen(), Samples()])
    except (Diverged, Interrupted) as error:
        if ranks.first():
            report(folder, ended=str(error))
        raise
    if ranks.first():
        made = result.experiment
        sheet(made.task, made.codec, made.test, folder / "sheet.png")
        looks(made.task, made.codec, made.test, folder / "looks.json")
        ways(made.task, made.test, folder / "ways")
        report(folder)
        use = f"sample {folder}" if isinstance(made.task, Generative) else f"predict {folder} FILE"
        found = {"folder": str(folder), "scores": result.scores}
        print(json.dumps(found) if as_json else _said(folder, result.scores, use))
    return 0


def _said(folder: Path, scores: Mapping[str, Any], use: str) -> str:
    """The end of a run for a person: score, time, folder, what to type next."""
    metric = scores["goal"]["metric"]
    split = next((name for name in ("test", "valid") if metric in scores.get(name, {})), None)
    lines = []
    if split:
        best = f"the best of validation, step {scores['best']['step']:,}" if "valid" in scores else "the last step"
        at = best if scores["step"] else "as it began"
        lines.append(f"{metric} {scores[split][metric]:.4g} on the {split} split ({at})")
    for name, values in (scores.get("by_class") or {}).items():
        lines.append(f"{name}: {', '.join(f'{label} {value:.4g}' for label, value in values.items())}")
    speed = f", {scores['samples_per_s']:,.0f} samples/s" if scores.get("samples_per_s") else ""
    lines += [
        f"{scores['seconds']['total']:.1f} s{speed}, {scores['parameters']:,} parameters",
        f"{folder / 'report.html'} shows the curves; {folder / 'model'} is the network",
        "next:",
        f"  descend {use}",
    ]
    return "\n".join(lines)


def _lines() -> Observer:
    from descend.engine import Moment, Observer
    from descend.engine.observers.journal import line_of

    class JsonLines(Observer):
        def after(self, moment: Moment) -> None:
            line = line_of(moment)
            if line is not None:
                print(json.dumps(line), flush=True)

    return JsonLines()


def _same(folder: Path, experiment: Experiment) -> None:
    """Refuse to go on with a run that the words do not describe."""
    there = description_of(folder)["recipe"] or {}
    assert experiment.provenance is not None
    asked = experiment.provenance.describe()
    for name in ("name", "source", "seed"):
        if there.get(name) != asked[name]:
            raise Wrong(f"{folder} holds a run with {name} {there.get(name)}, not {asked[name]}: choose another --out")
    for name, value in asked["arguments"].items():
        if there["arguments"].get(name) != value:
            was = there["arguments"].get(name)
            raise Wrong(
                f"{folder} holds a run with {name} {was}, not {value}: choose another --out, "
                f"or type `descend resume {folder}`"
            )


def _train_help(words: Sequence[str]) -> int:
    if list(words) not in ([], ["-h"], ["--help"]):
        raise Wrong(f"`descend train` takes the recipe first: descend train RECIPE {' '.join(words)}")
    known = pages.house()
    print("descend train RECIPE [--arg value …] [options of the run]\n")
    width = max(map(len, known)) + 2
    print("\n".join(f"  {page.name:{width}}{page.summary}" for page in known.values()))
    print("\nor a FILE.py of your own. `descend train RECIPE --help` lists all it takes.")
    return 0 if words else 2


def _remove_if_empty(folder: Path) -> None:
    """A run that failed before it began leaves no folder."""
    if folder.is_dir() and not any(folder.iterdir()):
        os.rmdir(folder)

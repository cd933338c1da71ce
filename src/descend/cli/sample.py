"""``descend sample``: new pictures by a trained network."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from descend.cli.arguments import Place, parse
from descend.cli.train import folder_of
from descend.cli.wrong import Wrong, nearest

if TYPE_CHECKING:
    from descend.data import Batch
    from descend.engine import Predictor, Task
    from descend.tasks.generative import Generative


Solver = Literal["ddim", "ancestral", "heun", "dpm"]


@dataclass(frozen=True)
class Sampling:
    run: Place[Path]
    """Folder of the run, or of a model."""
    n: int = 16
    """Pictures."""
    label: Annotated[str | None, tyro.conf.arg(name="class")] = None
    """What all are to show: a class by its name, or as much of it as only one has; anything where not given."""
    text: str | None = None
    """What all are to show, in words; of runs that learned from captions."""
    seed: int = 0
    """Fixes the pictures."""
    solver: Solver | None = None
    """How noise becomes a picture, of diffusion; as the run has it where not given, as the two that follow."""
    steps: int | None = None
    """Of the solver."""
    guidance: float | None = None
    """How far it is led towards what is asked for; 1 leads it there, more beyond."""
    out: Path = Path("samples")
    """Folder of 0.png, 1.png, … and sheet.png, all on one; or a file .png, for the sheet alone."""


def sample(words: Sequence[str]) -> None:
    """Make new pictures."""
    form = parse(Sampling, words, "descend sample", "Make new pictures; the seed fixes them.")
    if form.n < 1:
        raise Wrong(f"--n is {form.n}: ask for 1 picture or more")
    if form.label is not None and form.text is not None:
        raise Wrong("--class and --text both say what is to be shown: give one of them")
    folder = folder_of(form.run)
    alone = form.out.suffix.lower() == ".png"
    if form.out.exists() and (alone or not form.out.is_dir() or any(form.out.iterdir())):
        raise Wrong(f"{form.out} is there already: name another folder or file, --out")
    from descend.data.codecs.image import drawn
    from descend.insight import samples
    from descend.insight.sheet import tile, tiled
    from descend.ship import load
    from descend.tasks.generative import Generative

    predictor = load(folder)
    task = predictor.task
    if not isinstance(task, Generative):
        raise Wrong(
            f"{folder} holds a network that makes no pictures ({type(task).__name__}): descend predict {folder} FILE "
            "asks it"
        )
    lead(task, form.solver, form.steps, form.guidance)
    asked = _asked(form, predictor, task)
    if form.guidance is not None and asked is None:
        raise Wrong("--guidance leads towards what is asked for: ask for something, --class or --text")
    made = samples(task, form.n, form.seed, asked)
    sheet = tiled([tile(one) for one in made])
    (form.out.parent if alone else form.out).mkdir(parents=True, exist_ok=True)
    if alone:
        sheet.save(form.out)
    else:
        width = len(str(form.n - 1))
        for number, picture in enumerate(made):
            drawn(picture).save(form.out / f"{number:0{width}d}.png")
        sheet.save(form.out / "sheet.png")
    print(f"{form.n} in {form.out}")


def lead(task: Task, solver: Solver | None, steps: int | None, guidance: float | None) -> None:
    """Give a diffusion task another way, in this process.

    Raises:
        Wrong: it is none, or there is no such way.
    """
    from descend.tasks import DDIM, Diffusion, DPMSolver, Heun, ancestral

    solvers = {"ddim": DDIM, "ancestral": ancestral, "heun": Heun, "dpm": DPMSolver}
    told = {"solver": solver and solvers[solver](), "steps": steps, "guidance": guidance}
    given = {name: value for name, value in told.items() if value is not None}
    if not given:
        return
    if not isinstance(task, Diffusion):
        raise Wrong(f"--{next(iter(given))} leads diffusion, and this is {type(task).__name__}: leave it out")
    task.way = replace(task.way, **given)


def _asked(form: Sampling, predictor: Predictor, task: Generative) -> Batch | None:
    """What each picture is to show.

    Raises:
        Wrong: the network was not taught to be asked for that.
    """
    import torch

    from descend.data import BadData, Batch, PictureCodec

    codec = predictor.codec
    if form.text is not None:
        told = getattr(codec, "asked", None)
        if told is None:
            raise Wrong(f"{form.run} learned from no captions, so it knows no words: leave --text out")
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            asked = told(form.text)
        for warning in found:
            print(f"descend: {warning.message}", file=sys.stderr)
        return Batch({name: one.expand(form.n, *one.shape) for name, one in asked.items()})
    if form.label is None:
        return None
    if not isinstance(codec, PictureCodec) or not codec.labels or task.classes is None:
        raise Wrong(f"{form.run} cannot be asked for a class: leave --class out")
    try:
        number = codec.number(form.label)
    except BadData as error:
        raise Wrong(f"{error}{nearest(form.label, codec.labels)}") from None
    return Batch(target=torch.full((form.n,), number))

"""What a generative network made while it learned: the same samples again and again, as pictures in the run's folder.

RUN/samples/000400.png      a row of pictures, made with the (averaged) weights after step 400
"""

from __future__ import annotations

import os

import torch

from descend.data import Batch
from descend.engine import Moment, Observer
from descend.insight.sheet import tile, tiled
from descend.tasks.generative import Generative
from descend.tasks.generative.generative import Pictures, evaluating

FRAMES = 8
"""Rows over a run."""
ROW = 10
"""Pictures in a row."""


class Samples(Observer):
    """Draws the same ``ROW`` samples ``FRAMES`` times a run, evenly, the last time after its last step.

    They show its classes in turn, or captions of the validation split; anything, where it can be asked for nothing.
    It looks and never steers: torch's generators, the weights and the mode are as they were, and a row depends on the
    weights alone, so that a resumed run draws again what was lost. Tasks that make nothing are passed over.
    """

    def after(self, moment: Moment) -> None:
        task, run = moment.task, moment.run
        done, before = (step * FRAMES // moment.steps for step in (moment.step, moment.step - 1))
        if run is None or not isinstance(task, Generative) or done == before:
            return
        with torch.random.fork_rng(), task.averaged():
            row = samples(task, ROW, asked=task.asking(ROW, moment.valid))
        path = run.folder / "samples" / f"{moment.step:06d}.png"
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        tiled([tile(one) for one in row], ROW).save(unfinished, "PNG")
        os.replace(unfinished, path)


def samples(task: Generative, count: int, seed: int = 0, asked: Batch | None = None) -> Pictures:
    """So many pictures on the CPU; as `Generative.sample`, and sees to evaluation mode, gradients and devices."""
    with evaluating(task):
        return task.sample(count, seed, None if asked is None else asked.to(task.progress.device)).cpu()

"""How samples come to be, and what lies between them: pictures in the folder of a run that makes some out of noise.

between.png    from one sample to another
unfolded.png   from noise to a sample, of diffusion
traversed.png  one picture with each number of its code in turn, of a variational autoencoder with few of them
"""

from __future__ import annotations

from pathlib import Path

import torch

from descend.data import Batch, Data
from descend.engine import Task
from descend.functional import keyed
from descend.insight.sheet import tile, tiled
from descend.tasks.generative import VAE, Diffusion, FromNoise
from descend.tasks.generative.generative import Pictures

WAYS = {
    "between": "from one sample to another, on the arc between their noise",
    "unfolded": "from noise to a sample",
    "traversed": "one picture of the test split; in each row another number of its code goes from -2.5 to 2.5",
}
"""What each picture shows."""
ROWS = 5
STEPS = 10
"""Pictures in a row."""
FEW = 16
"""Numbers of a code that are shown each."""


def ways(task: Task, data: Data | None, folder: Path) -> None:
    """Draw what there is; nothing of other tasks.

    Args:
        task: with its learned weights.
        data: of the test split, whose captions are asked for, where it knows captions.
        folder: made where there is something to put in it.
    """
    if not isinstance(task, FromNoise):
        return
    folder.mkdir(exist_ok=True)
    asked = task.asking(ROWS, data)
    rows = [None if asked is None else Batch({name: one[[row]] for name, one in asked.items()}) for row in range(ROWS)]
    _draw([task.walk(STEPS, seed, row) for seed, row in enumerate(rows)], folder / "between.png")
    if isinstance(task, Diffusion):
        steps = task.unfold(ROWS, asked=asked)
        chosen = torch.linspace(0, len(steps) - 1, min(STEPS, len(steps))).round().long().tolist()
        _draw(list(torch.stack([steps[step] for step in chosen], 1)), folder / "unfolded.png")
    if isinstance(task, VAE) and len(task.decoder.code) == 1 and task.decoder.width <= FEW and data is not None:
        x = data.gather(keyed.permutation(len(data), 0)[:1])["x"][0].to(task.progress.device)
        values = torch.linspace(-2.5, 2.5, STEPS)
        _draw([task.traverse(x, latent, values) for latent in range(task.decoder.width)], folder / "traversed.png")


def _draw(rows: list[Pictures], path: Path) -> None:
    tiled([tile(one.cpu()) for row in rows for one in row], len(rows[0])).save(path)

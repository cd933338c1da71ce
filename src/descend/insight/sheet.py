"""What a network answered, to look at: examples of the test split, as its codec draws them, on one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from descend.data import Batch, Codec, Data
from descend.data.codecs.image import TILE, drawn
from descend.engine import Predictor, Task
from descend.functional import keyed
from descend.tasks.generative import Generative

if TYPE_CHECKING:
    from PIL import Image

MOST = 32
"""Examples on a sheet."""
WIDTH = 960
"""Of a sheet, in pixels."""
GAP = 8


def sheet(task: Task, codec: Codec | None, data: Data | None, path: Path, most: int = MOST) -> Path | None:
    """Draw samples, chosen by a fixed key, into a PNG file; None where the codec draws nothing.

    Args:
        task: with its learned weights.
        data: of the test split.
    """
    if codec is None or data is None:
        return None
    predictor, found = Predictor(task, codec), []
    chosen = keyed.permutation(len(data), 0)[: max(most, codec.beside)]
    for index in chosen.split(len(chosen) if data.alike else 1):
        batch = data.gather(index)
        answered = task.answers if isinstance(task, Generative) else "target" in batch
        # What is made of a picture is held against the picture itself.
        meant = batch if "target" in batch or not answered else Batch(batch.tensors, target=batch["x"])
        tiles = codec.tiles(meant, predictor.outputs(**batch.inputs)) if answered else None
        if tiles is None:
            return None
        found += tiles
    tiled(found[:most]).save(path)
    return path


def tile(values: Float[Tensor, "channels height width"]) -> Image.Image:
    """A picture of values 0 … 1, small ones enlarged."""
    from PIL import Image

    small = drawn(values)
    times = max(1, round(TILE / small.width))
    return small.resize((times * small.width, times * small.height), Image.Resampling.NEAREST)


def tiled(tiles: list[Image.Image], columns: int | None = None) -> Image.Image:
    """Side by side in rows of so many, or of as many as fit."""
    from PIL import Image

    width, height = max(t.width for t in tiles) + GAP, max(t.height for t in tiles) + GAP
    columns = columns or max(1, min(len(tiles), WIDTH // width))
    rows = -(-len(tiles) // columns)
    whole = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for place, tile in enumerate(tiles):
        whole.paste(tile, (GAP + place % columns * width, GAP + place // columns * height))
    return whole

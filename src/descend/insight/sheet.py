"""What a network answered, to look at: examples of the test split, as its codec draws them, on one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from descend.data import Codec, Data
from descend.engine import Predictor, Task
from descend.functional import keyed

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
    predictor, drawn = Predictor(task, codec), []
    chosen = keyed.permutation(len(data), 0)[: max(most, codec.beside)]
    for index in chosen.split(len(chosen) if data.alike else 1):
        batch = data.gather(index)
        tiles = codec.tiles(batch, predictor.outputs(**batch.inputs)) if "target" in batch else None
        if tiles is None:
            return None
        drawn += tiles
    _tiled(drawn[:most]).save(path)
    return path


def _tiled(tiles: list[Image.Image]) -> Image.Image:
    """Side by side in rows, as many as fit."""
    from PIL import Image

    width, height = max(t.width for t in tiles) + GAP, max(t.height for t in tiles) + GAP
    columns = max(1, min(len(tiles), WIDTH // width))
    rows = -(-len(tiles) // columns)
    whole = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for place, tile in enumerate(tiles):
        whole.paste(tile, (GAP + place % columns * width, GAP + place // columns * height))
    return whole

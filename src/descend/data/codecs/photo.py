"""Pictures whose answer is a picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from descend.data.codecs.codec import Codec
from descend.data.codecs.image import drawn, pixels

if TYPE_CHECKING:
    from PIL import Image

SIDE = 150
"""Pixels of a picture's middle that are drawn, so that grain and edges are seen as they are."""


class PhotoCodec(Codec):
    """A picture of any size as ``x`` [channels, height, width] of 0 … 1, read as `ImageCodec` reads it, and a picture
    that was made of it.

    >>> answer = predictor.predict("photo.png")
    >>> Path("better.png").write_bytes(base64.b64decode(answer["png"]))

    Args:
        channels: 1 (grey) or 3 (RGB).
    """

    def __init__(self, channels: int = 3):
        if channels not in (1, 3):
            raise ValueError(f"PhotoCodec: channels is {channels}; give 1 for grey or 3 for RGB")
        self.channels = channels

    def encode(self, raw: str | Path | bytes | Any) -> dict[str, Tensor]:
        """From all that `ImageCodec.encode` takes.

        Raises:
            BadData: it is no picture, it is torn, or it is too large to be one.
        """
        return {"x": pixels(raw, self.channels)}

    def decode(self, output: Float[Tensor, "channels height width"]) -> dict[str, Any]:
        """``width`` and ``height`` in pixels, and ``png``, the file's content in base64."""
        file = io.BytesIO()
        picture = drawn(output)
        picture.save(file, "PNG")
        return {
            "width": picture.width,
            "height": picture.height,
            "png": base64.b64encode(file.getvalue()).decode("ascii"),
        }

    def draw(self, sample: Mapping[str, Tensor], target: Tensor, output: Tensor) -> Image.Image | None:
        """The middles of what was given, the answer, and the truth, side by side."""
        from PIL import Image

        truth = drawn(target)
        given = drawn(sample["x"]).resize(truth.size, Image.Resampling.NEAREST)
        side = min(SIDE, *truth.size)
        left, top = (truth.width - side) // 2, (truth.height - side) // 2
        row = Image.new("RGB", (3 * side + 8, side), "white")
        for place, panel in enumerate((given, drawn(output), truth)):
            row.paste(panel.crop((left, top, left + side, top + side)), (place * (side + 4), 0))
        return row

"""Pictures of one size, whose answer is a picture: what networks that make pictures read and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from descend.data.codecs.image import TILE, drawn, pixels
from descend.data.codecs.photo import PhotoCodec
from descend.data.errors import BadData

if TYPE_CHECKING:
    from PIL import Image


class PictureCodec(PhotoCodec):
    """A picture as ``x`` [channels, height, width] of 0 … 1, scaled and cut as `ImageCodec` does; the answer to it is
    another picture.

    Args:
        height, width: in pixels.
        channels: 1 (grey) or 3 (RGB).
        labels: the classes' names, where pictures of a class can be asked for.
        ground: what is seen through transparent places, 0 (black) … 1 (white).
    """

    def __init__(
        self,
        height: int,
        width: int,
        channels: int = 3,
        labels: tuple[str, ...] | None = None,
        ground: float = 0.0,
    ):
        super().__init__(channels)
        self.height = height
        self.width = width
        self.labels = labels
        self.ground = ground

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.height, self.width)

    def encode(self, raw: Any) -> dict[str, Tensor]:
        return {"x": pixels(raw, self.channels, (self.width, self.height), ground=self.ground)}

    def number(self, label: str) -> int:
        """Of a class: by its name, in small or large letters, or as much of it as only one class has.

        Raises:
            BadData: there is no such class, or several; the message names all.
        """
        names = self.labels or ()
        exact = [place for place, name in enumerate(names) if name.lower() == label.lower()]
        found = exact or [place for place, name in enumerate(names) if label.lower() in name.lower()]
        if len(found) != 1 or not label:
            what = f"could be {' or '.join(names[place] for place in found)}" if found else "is none"
            raise BadData(f"the class {label!r} {what}: there are {', '.join(names) or 'no classes'}")
        return found[0]

    def draw(self, sample: Mapping[str, Tensor], target: Tensor, output: Tensor) -> Image.Image | None:
        """What was given, and what was made of it, side by side; small pictures enlarged."""
        from PIL import Image

        times = max(1, round(TILE / self.width))
        size = (times * self.width, times * self.height)
        row = Image.new("RGB", (2 * size[0] + 4, size[1]), "white")
        for place, values in enumerate((sample["x"], output)):
            row.paste(drawn(values).resize(size, Image.Resampling.NEAREST), (place * (size[0] + 4), 0))
        return row

"""Pictures whose answer is a class for every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from descend.data.codecs.image import ImageCodec, reading

if TYPE_CHECKING:
    from PIL import Image

COLOURS = ((0, 0, 0), (255, 122, 26), (36, 99, 201), (11, 138, 106), (138, 79, 184), (240, 200, 40), (220, 60, 90))
"""Of classes, by their numbers, again and again."""


class MaskCodec(ImageCodec):
    """A picture as `ImageCodec` reads it, and masks: pictures of class numbers.

    >>> codec = MaskCodec.fit(pictures, labels=("background", "cell"))        # of the training split only
    >>> codec.decode(probabilities)
    {'areas': {'background': 0.71, 'cell': 0.29}, 'mask': [[0, 0, 1, …], …]}

    Args: as of `ImageCodec`; ``labels`` names the classes, the first being the background.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self.labels or ()

    def decode(self, output: Float[Tensor, "classes height width"]) -> dict[str, Any]:
        """``areas``, the share of the picture that each class takes, and ``mask``, the class of each pixel in rows."""
        classes = output.argmax(0)
        shares = torch.bincount(classes.flatten(), minlength=len(self.names)) / classes.numel()
        areas = {label: round(share, 4) for label, share in zip(self.names, shares.tolist(), strict=True)}
        return {"areas": areas, "mask": classes.tolist()}

    def numbers(self, raw: Path | bytes, name: str) -> Int[Tensor, "height width"]:
        """What a mask's pixels hold, scaled and cut as its picture is; 0 and 255 where it is black and white.

        Args:
            raw: a file, or its content.
            name: what a message calls it.

        Raises:
            BadData: it cannot be read.
        """
        from PIL import Image, ImageOps

        with reading(raw, name) as picture:
            turned = ImageOps.exif_transpose(picture)
            single = turned if turned.mode in ("L", "P", "I", "I;16") else turned.convert("L")
            fitted = ImageOps.fit(single, (self.width, self.height), Image.Resampling.NEAREST)
            return torch.from_numpy(np.array(fitted, np.int64))

    def draw(self, sample: Mapping[str, Tensor], target: Tensor, output: Tensor) -> Image.Image | None:
        """The picture, the truth over it, the answer over it."""
        from PIL import Image

        plain = self.picture(sample["x"])
        panels = [plain, *(self._coloured(plain, classes) for classes in (target, output.argmax(0)))]
        row = Image.new("RGB", (3 * plain.width + 8, plain.height), "white")
        for place, panel in enumerate(panels):
            row.paste(panel, (place * (plain.width + 4), 0))
        return row

    def _coloured(self, plain: Image.Image, classes: Tensor) -> Image.Image:
        """Every class but the background in a colour of its own, half transparent."""
        from PIL import Image

        colours = np.array([COLOURS[i % len(COLOURS)] for i in range(len(self.names))], np.uint8)
        numbers = classes.cpu().numpy()
        # Composite takes the first where the mask is 255: 140 of it is a little more than half.
        mask = Image.fromarray(((numbers > 0) * 140).astype(np.uint8))
        return Image.composite(Image.fromarray(colours[numbers]), plain, mask)

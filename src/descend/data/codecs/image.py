"""Pictures: any file that Pillow reads, to a tensor of one size."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from descend.data.codecs.codec import Codec, best_labels
from descend.data.errors import BadData

MOST_PIXELS = 64 * 10**6
"""A picture of more pixels is taken for a decompression bomb."""


class ImageCodec(Codec):
    """A picture as ``x`` [channels, height, width], (value - mean) / std with values 0 … 1.

    Turned as its EXIF data say, transparent parts on black, the first frame of an animation; scaled (antialiased) so
    that it covers the size, and cut in the middle.

    Args:
        height, width: in pixels.
        channels: 1 (grey) or 3 (RGB).
        mean, std: one number a channel.
        labels: the classes' names.
    """

    def __init__(
        self,
        height: int,
        width: int,
        channels: int = 3,
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        labels: tuple[str, ...] = (),
    ):
        if channels not in (1, 3):
            raise ValueError(f"ImageCodec: channels is {channels}; give 1 for grey or 3 for RGB")
        self.height = height
        self.width = width
        self.channels = channels
        self.mean = mean
        self.std = std
        self.labels = labels

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.height, self.width)

    def encode(self, raw: str | Path | bytes | Any) -> dict[str, Tensor]:
        """From a path, the bytes of a file, a Pillow picture, or an array [h, w] or [h, w, 3] of 0 … 255."""
        return {"x": self.standardise(self.pixels(raw))}

    def decode(self, output: Tensor) -> dict[str, Any]:
        return best_labels(self.labels or (), output)

    def standardise(
        self, pixels: Float[Tensor, "*batch channels height width"]
    ) -> Float[Tensor, "*batch channels height width"]:
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
        return (pixels - mean) / std

    def fitted(self, pixels: Float[Tensor, "n channels height width"]) -> ImageCodec:
        """The same codec with mean and spread of these (training) pictures, a channel at a time."""
        mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3)).clamp(min=1e-3)
        return ImageCodec(
            self.height, self.width, self.channels, tuple(mean.tolist()), tuple(std.tolist()), self.labels or ()
        )

    def pixels(self, raw: Any) -> Float[Tensor, "channels height width"]:
        """0 … 1, before standardisation.

        Raises:
            BadData: it is no picture, it is torn, or it is too large to be one.
        """
        from PIL import Image, ImageOps, UnidentifiedImageError

        name = str(raw) if isinstance(raw, str | Path) else "the picture"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
                picture = self._open(raw, Image)
                if picture.width * picture.height > MOST_PIXELS:
                    raise BadData(
                        f"{name} has {picture.width}×{picture.height} pixels, more than {MOST_PIXELS:,}: it looks "
                        "like a decompression bomb; scale it down if it is meant"
                    )
                picture = self._mode(ImageOps.exif_transpose(picture), Image)
                picture = ImageOps.fit(picture, (self.width, self.height), Image.Resampling.BICUBIC)
        except UnidentifiedImageError:
            empty = isinstance(raw, str | Path) and os.path.getsize(raw) == 0
            raise BadData(f"{name} is {'empty' if empty else 'no picture that can be read'}") from None
        except Image.DecompressionBombError as error:
            raise BadData(f"{name} looks like a decompression bomb: {error}") from None
        except FileNotFoundError:
            raise BadData(f"there is no file {name}") from None
        except (OSError, SyntaxError, ValueError) as error:
            if isinstance(error, BadData):
                raise
            raise BadData(f"{name} is torn or broken ({error}): save it anew, or leave it out") from None
        array = torch.from_numpy(np.array(picture, dtype=np.float32)) / 255
        return array[None] if self.channels == 1 else array.movedim(2, 0)

    def _open(self, raw: Any, module: Any) -> Any:
        if isinstance(raw, bytes):
            raw = io.BytesIO(raw)
        if isinstance(raw, str | Path | io.BytesIO):
            return module.open(raw)
        if isinstance(raw, module.Image):
            return raw
        return module.fromarray(np.asarray(raw, dtype=np.uint8))

    def _mode(self, picture: Any, module: Any) -> Any:
        picture.load()
        if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits, or numbers
            values = np.array(picture, dtype=np.float32)
            most = 65535.0 if values.max() > 255 else 255.0
            picture = module.fromarray((values / most * 255).clip(0, 255).astype(np.uint8))
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            picture = module.alpha_composite(module.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
        return picture.convert("L" if self.channels == 1 else "RGB")

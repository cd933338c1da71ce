"""Pictures: any file that Pillow reads, to a tensor of one size."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from descend.data.codecs.codec import Codec, best_labels
from descend.data.errors import BadData

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 64 * 10**6
"""A picture of more pixels is taken for a decompression bomb."""

TILE = 96
"""Pixels that a small picture is drawn at, or as near as whole times its own size come."""
ORIENTATION = 0x0112
"""EXIF's tag for how a camera was turned; 5 to 8 are lying."""
RIGHT, WRONG = "#1c1f24", "#c65a00"
"""Colours of answers."""


class ImageCodec(Codec):
    """A picture as ``x`` [channels, height, width], (value - mean) / std with values 0 … 1.

    Turned as its EXIF data say, transparent parts on black, the first frame of an animation, 16 bits brought to 8;
    scaled (bicubic, antialiased) so that it covers the size, and cut in the middle.

    >>> codec = ImageCodec.fit(pictures, labels=("cat", "dog"))       # of the training split only

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
        if len(mean) not in (1, channels) or len(std) not in (1, channels) or min(std) <= 0:
            raise ValueError(f"ImageCodec: mean {mean} and std {std} hold one number a channel, each std above 0")
        self.height = height
        self.width = width
        self.channels = channels
        self.mean = mean
        self.std = std
        self.labels = labels

    @classmethod
    def fit(cls, pixels: Float[Tensor, "n channels height width"], labels: tuple[str, ...] = ()) -> ImageCodec:
        """For pictures of this size, with mean and spread of these (training) pictures, a channel at a time.

        Args:
            pixels: 0 … 1.
            labels: the classes' names.
        """
        mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3)).clamp(min=1e-3)
        channels, height, width = pixels.shape[1:]
        return cls(height, width, channels, tuple(mean.tolist()), tuple(std.tolist()), labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.height, self.width)

    def encode(self, raw: str | Path | bytes | Any) -> dict[str, Tensor]:
        """From a path, the bytes of a file, a Pillow picture, an array [h, w] or [h, w, 1 | 3 | 4], or a tensor
        [1 | 3, h, w]; of 0 … 255 where its numbers are whole, else of 0 … 1.

        Raises:
            BadData: it is no picture, it is torn, or it is too large to be one.
        """
        return {"x": self.standardise(self.pixels(raw))}

    def decode(self, output: Tensor) -> dict[str, Any]:
        """``label``, its ``confidence``, and the likeliest in ``top``."""
        return best_labels(self.labels or (), output)

    def standardise(
        self, pixels: Float[Tensor, "*batch channels height width"]
    ) -> Float[Tensor, "*batch channels height width"]:
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
        return (pixels - mean) / std

    def picture(self, x: Float[Tensor, "channels height width"]) -> Image.Image:
        """What a network was given, as it looked."""
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
        return drawn(x.detach().cpu().float() * std + mean).convert("RGB")

    def draw(self, sample: Mapping[str, Tensor], target: Tensor, output: Tensor) -> Image.Image | None:
        """The picture over its answer, with the truth beside an answer that is wrong."""
        from PIL import Image, ImageDraw

        if not self.labels or target.ndim:
            return None
        small = self.picture(sample["x"])
        times = max(1, round(TILE / small.width))
        shown = small.resize((small.width * times, small.height * times), Image.Resampling.NEAREST)
        answer, truth = self.labels[int(output.argmax())], self.labels[int(target)]
        tile = Image.new("RGB", (max(TILE, shown.width), shown.height + 28), "white")
        tile.paste(shown, ((tile.width - shown.width) // 2, 0))
        pen = ImageDraw.Draw(tile)
        pen.text((2, shown.height + 1), answer, fill=RIGHT if answer == truth else WRONG)
        if answer != truth:
            pen.text((2, shown.height + 14), f"not {truth}", fill=WRONG)
        return tile

    def pixels(self, raw: Any) -> Float[Tensor, "channels height width"]:
        """0 … 1, before standardisation.

        Raises:
            BadData: as `encode`.
        """
        return pixels(raw, self.channels, (self.width, self.height))


def pixels(
    raw: Any, channels: int, size: tuple[int, int] | None = None, name: str | None = None, ground: float = 0.0
) -> Float[Tensor, "channels height width"]:
    """A picture of any kind, as `ImageCodec.encode` takes them, with values 0 … 1.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: width and height that it is scaled and cut to; its own if None.
        name: what a message calls it; its path if None.
        ground: what is seen through transparent places, 0 (black) … 1 (white).

    Raises:
        BadData: as `ImageCodec.encode`.
    """
    from PIL import Image, ImageOps

    with reading(raw, name) as picture:
        if size is not None:
            # A JPEG can be unpacked at a half, quarter or eighth of its size, much faster; twice ours is enough.
            picture.draft(None, (2 * max(size), 2 * max(size)))
        plain = _plain(ImageOps.exif_transpose(picture), channels, _named(raw, name), ground)
        fitted = plain if size is None else ImageOps.fit(plain, size, Image.Resampling.BICUBIC)
        array = np.array(fitted, np.float32)
    found = torch.from_numpy(array) / 255
    return found[None] if channels == 1 else found.movedim(2, 0)


def size_of(raw: Any) -> tuple[int, int]:
    """Width and height in pixels of a picture that `pixels` reads, as it is to be looked at.

    Raises:
        BadData: as `ImageCodec.encode`, of what its header says.
    """
    with reading(raw) as picture:
        turned = picture.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        return (picture.height, picture.width) if turned else (picture.width, picture.height)


@contextmanager
def reading(raw: Any, name: str | None = None) -> Iterator[Any]:
    """A picture, open; whatever is wrong with it inside is said by `BadData`."""
    from PIL import Image, UnidentifiedImageError

    name = _named(raw, name)
    try:
        # Pillow warns of odd metadata; and of size, for which our own limit follows.
        with warnings.catch_warnings(action="ignore"), _open(raw) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise BadData(
                    f"{name} has {picture.width}×{picture.height} pixels, more than {MOST_PIXELS:,}: it looks "
                    "like a decompression bomb; scale it down if it is meant"
                )
            yield picture
    except BadData:
        raise
    except Image.DecompressionBombError as error:
        raise BadData(f"{name} looks like a decompression bomb: {error}") from None
    except FileNotFoundError:
        raise BadData(f"there is no file {name}") from None
    except (PermissionError, IsADirectoryError) as error:
        raise BadData(f"{name} cannot be opened ({error.strerror}): give a file that may be read") from None
    except UnidentifiedImageError:
        why = "is empty" if _is_empty(raw) else "is no picture that can be read"
        raise BadData(f"{name} {why}: save it anew as PNG or JPEG, or leave it out") from None
    except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, IndexError …
        why = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise BadData(f"{name} is torn or broken ({why}): save it anew, or leave it out") from None


def _named(raw: Any, name: str | None) -> str:
    return name or (str(raw) if isinstance(raw, str | Path) else "the picture")


def drawn(values: Float[Tensor, "channels height width"]) -> Image.Image:
    """A picture of values 0 … 1, in grey or RGB; what lies outside is cut."""
    from PIL import Image

    levels = (values.detach().cpu().float() * 255).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray((levels[0] if len(levels) == 1 else levels.movedim(0, 2)).contiguous().numpy())


def _plain(picture: Any, channels: int, name: str, ground: float) -> Any:
    """The picture in grey or RGB, 8 bits."""
    from PIL import Image

    picture.load()
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits; or 32, whose range only its values tell
        values = np.array(picture, dtype=np.float32)
        if not np.isfinite(values).all():
            raise BadData(f"{name} holds a NaN or infinite pixel: save it anew, or leave it out")
        most = 65535.0 if picture.mode.startswith("I;16") or values.max() > 255 else 255.0
        if picture.mode == "F" and values.max() <= 1:
            most = 1.0
        picture = Image.fromarray((values / most * 255).round().clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        level = round(255 * ground)
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (level, level, level, 255)), picture)
    return picture.convert("L" if channels == 1 else "RGB")


def _open(raw: Any) -> Any:
    from PIL import Image

    if isinstance(raw, str | Path):
        return Image.open(raw)
    if isinstance(raw, bytes):
        return Image.open(io.BytesIO(raw))
    if isinstance(raw, Image.Image):
        return raw.copy()  # draft changes what it is asked of
    if isinstance(raw, Tensor):
        raw = raw.detach().cpu()
        raw = raw.movedim(0, -1) if raw.ndim == 3 else raw
        raw = raw.float() if raw.is_floating_point() else raw  # numpy has no bfloat16
    array = np.asarray(raw)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype.kind not in "uifb" or 0 in array.shape or array.shape[2:] not in ((), (3,), (4,)) or array.ndim < 2:
        raise BadData(
            f"a picture cannot be made of {type(raw).__name__} {array.dtype} {tuple(array.shape)}: give a path, bytes, "
            "a Pillow picture, an array [height, width] or [height, width, 3], or a tensor [3, height, width]"
        )
    whole = array.dtype.kind in "ui"
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > (255 if whole else 1):
        raise BadData(
            f"a picture's numbers are {array.min()} … {array.max()} ({array.dtype}): whole ones are 0 … 255, "
            "fractions 0 … 1"
        )
    return Image.fromarray(array.astype(np.uint8) if whole else (array * 255.0).round().astype(np.uint8))


def _is_empty(raw: Any) -> bool:
    return not (Path(raw).stat().st_size if isinstance(raw, str | Path) else raw)

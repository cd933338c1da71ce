"""Pictures and, beside each, a picture of the same size that says the class of every pixel."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from descend.data.codecs import MaskCodec
from descend.data.data import Tensors
from descend.data.datasets.boxes import Place
from descend.data.datasets.files import Official
from descend.data.errors import BadData
from descend.data.splits import Splits, split

MEMBRANE = Official(
    "membrane.zip",
    "",
    6_503_546,
    "275670b0faf03f4d9936d770a1ccfd4be5098fce89e77d139f72b370703d4e31",
)
"""image/NUMBER.png and label/NUMBER.png; nobody serves it in one piece."""


def masks(
    pictures: Place,
    labels: Place,
    names: Sequence[str],
    size: int,
    channels: int = 3,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    key: int = 0,
    dark: int = 0,
) -> Splits:
    """The pictures of a folder and those of the same names in another, whose pixels are the numbers of classes; or, for
    two classes, dark for one and bright for the other.

    Args:
        pictures, labels: folders, also inside a zip archive.
        names: of the classes; the first is the background.
        size: height and width to which pictures are brought, in pixels.
        channels: 1 (grey) or 3 (RGB).
        fractions: for training, validation and test, by key.
        dark: of two classes, the dark one.

    Raises:
        BadData: no pair is there, a mask has another size than its picture, or holds a class that has no name.
    """
    found = {place.name.rpartition(".")[0]: place for place in labels.iterdir() if place.is_file()}
    places = sorted((place for place in pictures.iterdir() if place.is_file()), key=lambda place: place.name)
    alone = [place.name for place in places if place.name.rpartition(".")[0] not in found]
    if alone:
        warnings.warn(
            f"{pictures}: {len(alone)} pictures without a mask left out: {', '.join(alone[:3])}", stacklevel=2
        )
    pairs = [(place, found[place.name.rpartition(".")[0]]) for place in places if place.name not in alone]
    if len(pairs) < 3:
        raise BadData(
            f"{pictures} and {labels} hold {len(pairs)} pairs of one name: training, validation and test need 3"
        )
    plain = MaskCodec(size, size, channels, labels=tuple(names))
    x = torch.stack([plain.pixels(_content(place)) for place, _ in pairs])
    target = torch.stack([_mask(plain, place, mask, dark) for place, mask in pairs])
    return splits(x, target, tuple(names), fractions, key, getattr(pictures, "name", "masks"))


def membrane(size: int = 256) -> Splits:
    """The membranes of 30 electron micrographs of a fly's nerve cord (ISBI 2012; Arganda-Carreras et al. 2015), 24 to
    learn from (two of them for validation) and 6 to be tested on.

    Args:
        size: height and width, in pixels; 512 as they were taken.
    """
    archive = zipfile.Path(MEMBRANE.find())
    parts = (22 / 30, 2 / 30, 6 / 30)
    return masks(archive / "image", archive / "label", ("cell", "membrane"), size, 1, parts, dark=1)


def splits(
    x: Float[Tensor, "n channels height width"],
    target: Int[Tensor, "n height width"],
    names: tuple[str, ...],
    fractions: tuple[float, float, float],
    key: int,
    name: str,
) -> Splits:
    """Pictures of 0 … 1 and their masks, in parts; mean and spread are the training pictures'."""
    parts = split(len(x), fractions, key)
    codec = MaskCodec.fit(x[parts[0]], names)
    train, valid, test = (Tensors(x=codec.standardise(x[part]), target=target[part]) for part in parts)
    return Splits(train, valid, test, codec, name)


def _content(place: Place) -> Path | bytes:
    return place.read_bytes() if isinstance(place, zipfile.Path) else place


def _mask(codec: MaskCodec, picture: Place, mask: Place, dark: int) -> Int[Tensor, "height width"]:
    sizes = [MaskCodec.size(_content(each)) for each in (picture, mask)]
    if sizes[0] != sizes[1]:
        raise BadData(
            f"{picture} has {sizes[0][0]}×{sizes[0][1]} pixels, its mask {mask} {sizes[1][0]}×{sizes[1][1]}: "
            "a mask says the class of each pixel, so it is as large"
        )
    return codec.mask(_content(mask), str(mask), dark)

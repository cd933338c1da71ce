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
from descend.data.codecs.image import pixels, size_of
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
    strict: bool = False,
) -> Splits:
    """The pictures of a folder and those of the same names in another, whose pixels are the numbers of classes; or, for
    two classes, dark for one and bright for the other. Pictures without a mask, torn ones and those whose mask has
    another size are left out, named in one warning.

    Args:
        pictures, labels: folders, also inside a zip archive.
        names: of the classes; the first is the background.
        size: height and width to which pictures are brought, in pixels.
        channels: 1 (grey) or 3 (RGB).
        fractions: for training, validation and test, by key.
        dark: of two classes that are told by dark and bright, the dark one.
        strict: leave nothing out.

    Raises:
        BadData: fewer than three pairs can be used, or a mask holds a class that has no name; with ``strict``,
            something would be left out.
    """
    found = {place.name.rpartition(".")[0]: place for place in labels.iterdir() if place.is_file()}
    places = sorted((place for place in pictures.iterdir() if place.is_file()), key=lambda place: place.name)
    plain = MaskCodec(size, size, channels, labels=tuple(names))
    read, odd = [], []
    for place in places:
        mask = found.get(place.name.rpartition(".")[0])
        try:
            if mask is None:
                raise BadData(f"{place} has no mask")
            read.append((place, *_pair(plain, place, mask)))
        except BadData as error:
            odd.append(str(error))
    said = f"{len(odd)} of {len(places)} pictures are left out: {'; '.join(odd[:3])}"
    if strict and odd:
        raise BadData(f"{pictures}: {said}")
    if len(read) < 3:
        raise BadData(
            f"{pictures} and {labels} hold {len(read)} pairs of one name that can be used, and training, validation "
            f"and test need 3; {said}"
        )
    if odd:
        warnings.warn(f"{pictures}: {said}", stacklevel=2)
    target = _classes(torch.stack([numbers for *_, numbers in read]), [place for place, *_ in read], names, dark)
    x = torch.stack([pixels for _, pixels, _ in read])
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


def _pair(codec: MaskCodec, picture: Place, mask: Place) -> tuple[Tensor, Tensor]:
    """A picture's pixels, and the numbers of its mask."""
    sizes = [size_of(_content(each)) for each in (picture, mask)]
    if sizes[0] != sizes[1]:
        raise BadData(
            f"{picture} has {sizes[0][0]}×{sizes[0][1]} pixels, its mask {mask} {sizes[1][0]}×{sizes[1][1]}: "
            "a mask says the class of each pixel, so it is as large"
        )
    seen = pixels(_content(picture), codec.channels, (codec.width, codec.height), str(picture))
    return seen, codec.numbers(_content(mask), str(mask))


def _classes(
    numbers: Int[Tensor, "n height width"], places: list[Place], names: Sequence[str], dark: int
) -> Int[Tensor, "n height width"]:
    """What masks hold as classes. All masks of a folder are read alike: one that is dark throughout says the same as
    the dark places of another."""
    most = int(numbers.max())
    if len(names) == 2 and most >= BRIGHT:
        between = (numbers > most / 8) & (numbers < most * 7 / 8)
        if numbers.unique().tolist() == [0, 1, most] or between.float().mean() > EDGES:
            raise BadData(
                f"the masks hold {_few(numbers)}: two classes are told by 0 and 1, or by dark and bright; "
                "name every class, or paint what is none of these over"
            )
        return torch.where(numbers > most / 2, 1 - dark, dark)
    if most >= len(names):
        place = places[int(numbers.flatten(1).amax(1).argmax())]
        raise BadData(
            f"{place}'s mask holds the class {most}, but there are {len(names)} names: "
            f"{', '.join(names)} are 0 … {len(names) - 1}"
        )
    return numbers


def _few(numbers: Tensor) -> str:
    found = [str(number) for number in numbers.unique().tolist()]
    return ", ".join(found if len(found) <= 5 else [*found[:3], "…", found[-1]])


BRIGHT = 128
"""Least number of the brightest pixel where masks tell two classes by dark and bright."""
EDGES = 0.05
"""Largest share of pixels between dark and bright: JPEG and smooth edges leave some."""

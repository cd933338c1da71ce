"""Photographs to be restored: patches to learn from, and the whole photos of the published tests.

Learned from are photos of Set14 (Zeyde et al. 2010) and those that scikit-image carries; asked is BSD68 (Roth and Black
2009), Set5 (Bevilacqua et al. 2012) or Set12 (Zhang et al. 2017), without those training photos that show the same.
"""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from descend.data.augment import Augment
from descend.data.batch import Batch
from descend.data.codecs import PhotoCodec, PictureCodec
from descend.data.codecs.image import pixels
from descend.data.data import Data, Tensors
from descend.data.datasets.boxes import Place
from descend.data.datasets.files import Official
from descend.data.datasets.folder import SUFFIXES
from descend.data.errors import BadData
from descend.data.splits import Splits, split
from descend.functional import bicubic, keyed

Picture = UInt8[Tensor, "channels height width"]


@dataclass(frozen=True)
class PhotoSet:
    """Photos in an archive that nobody serves in one piece.

    Attributes:
        file: the archive.
        folder: in it.
        same: names of training photos that show what one of these shows, found by matching their corners.
    """

    file: Official
    folder: str
    same: tuple[str, ...] = ()


def _archive(name: str, size: int, sha256: str) -> Official:
    return Official(f"restoration/{name}.zip", "", size, sha256)


BSD68 = PhotoSet(
    _archive("bsd68", 6_462_933, "a7231e0b112c09f5b5b073801cf786069365954863a18b32f3775e9a3e0a2782"), "BSD68"
)
"""68 grey photos of 481×321 pixels, upright or lying."""
SET12 = PhotoSet(
    _archive("set12", 1_198_111, "45c632b46c8c29dab69818911565994f7b00850ac589651938a1d12a8936ccb0"),
    "Set12",
    ("barbara", "lenna", "man", "monarch", "pepper"),
)
"""12 grey photos of 256×256 or 512×512 pixels."""
SET5 = PhotoSet(
    _archive("set5", 1_166_685, "d3c6a46c37a4e94a9582622a7a623177938468e2702acdfbb41dc67130acc49e"),
    "Set5",
    ("face", "monarch"),
)
"""5 photos in colour, of unlike sizes."""
SET14 = PhotoSet(
    _archive("set14", 5_597_000, "05bbd62cf37f6be6f1c214a75fe3b4f6b9933415a221f5fbadbdbc13db537176"), "Set14"
)
"""14 photos, all but one in colour, of unlike sizes."""

PACKAGED = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("motorcycle_left.png", "rocket.jpg"),
)
"""Photos inside scikit-image's package; the rest of its pictures are drawings, scans or other instruments'."""

SMALLER = 0.75
"""Photos are also learned from at this size, which a camera farther away would have seen."""


class Photos(Data):
    """Whole photos of unlike sizes, each damaged alike whenever it is asked for.

    Args:
        pictures: by name.
        damage: what makes ``x`` and ``target`` of them, by the keys of their numbers.

    Raises:
        BadData: there is none; or, when several are gathered, they are of unlike sizes.
    """

    alike = False

    def __init__(self, pictures: Mapping[str, Picture], damage: Augment):
        if not pictures:
            raise BadData("there is not one photo: check the folder or the split that made this data set")
        self.pictures = dict(pictures)
        self.damage = damage
        self._names = list(pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        chosen = [self.pictures[self._names[number]] for number in index.tolist()]
        if len({picture.shape for picture in chosen}) > 1:
            raise BadData(
                f"photos of unlike sizes do not fit one batch of {len(chosen)}: gather them one by one, or learn from "
                "patches of one size"
            )
        return self.damage(Batch(x=torch.stack(chosen)), keyed.hashed(index))

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr(self.damage).encode())
        for name, picture in self.pictures.items():
            digest.update(f"{name} {tuple(picture.shape)}".encode())
            digest.update(picture.contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def name(self, number: int) -> str:
        return self._names[number]


def restoration(
    test: PhotoSet,
    damage: Augment,
    channels: int = 3,
    patch: int = 48,
    count: int = 20_000,
    photos: Place | None = None,
    key: int = 0,
) -> Splits:
    """Patches of clean photos as bytes, which the experiment's ``augment`` is to damage anew every epoch; a tenth of
    the photos, whole, for validation, and those of a published test.

    >>> data = restoration(BSD68, Noise(25), channels=1)
    >>> Experiment(task, data, augment=Compose((Flip(), Turn(), Noise(25))), …)

    Args:
        test: what is asked in the end: `BSD68`, `SET5`, `SET12`.
        damage: what the validation and test photos suffer, the same each time.
        channels: 1 (grey) or 3 (RGB).
        patch: height and width of a patch, in pixels.
        count: patches in all, cut by key.
        photos: a folder to learn from in place of Set14 and scikit-image, also inside a zip archive.

    Raises:
        BadData: an archive or a package is missing, a file is broken, or a photo is smaller than a patch.
    """
    known = _learned(test, channels) if photos is None else read_photos(photos, channels)
    names = list(known)
    own, held = ([names[i] for i in part.tolist()] for part in split(len(names), (0.9, 0.1), key))
    asked = read_photos(zipfile.Path(test.file.find()) / test.folder, channels)
    return Splits(
        Tensors(x=patches({name: known[name] for name in own}, patch, count, key)),
        Photos({name: known[name] for name in held}, damage),
        Photos(asked, damage),
        PhotoCodec(channels),
        test.folder,
    )


def damaged(data: Splits, damage: Augment) -> Splits:
    """The pictures of a data set without their classes, to learn what they looked like: clean ones to learn from, which
    the experiment's ``augment`` is to damage anew every epoch; the others damaged by their numbers, the same each time.

    >>> data = damaged(fashion_pictures(), Noise(76.5))
    >>> Experiment(task, data, augment=Noise(76.5), …)

    Args: data: pictures in memory, of bytes or of 0 … 1.

    Raises:
        ValueError: they are in files.
    """
    parts = {}
    for name in ("train", "valid", "test"):
        part = getattr(data, name)
        if not isinstance(part, Tensors | None):
            raise ValueError(f"{data.name}: {name} is in files: read them, Files.in_memory()")
        parts[name] = part
        if part is not None:
            clean = Batch(x=part.tensors["x"])
            changed = clean if name == "train" else damage(clean, keyed.hashed(torch.arange(len(part))))
            parts[name] = Tensors(**changed.tensors)
    channels, height, width = data.shape
    codec = PictureCodec(height, width, channels)
    return Splits(parts["train"], parts["valid"], parts["test"], codec, f"{data.name}, damaged")


def read_photos(folder: Place, channels: int) -> dict[str, Picture]:
    """All pictures of a folder, in the order of their names.

    Raises:
        BadData: there is none, or one is broken.
    """
    if not folder.is_dir():
        raise BadData(f"there is no folder {folder}")
    places = [place for place in folder.iterdir() if Path(place.name).suffix.lower() in SUFFIXES]
    found = {place.name: _bytes(place, channels) for place in sorted(places, key=lambda place: place.name)}
    if not found:
        raise BadData(f"{folder} holds no picture: give a folder of photos, {', '.join(sorted(SUFFIXES))}")
    return found


def patches(photos: Mapping[str, Picture], size: int, count: int, key: int) -> UInt8[Tensor, "n channels size size"]:
    """About so many patches of all photos, as they are and `SMALLER`, by their areas; where, the key says.

    Raises:
        BadData: a photo is smaller than a patch.
    """
    layers = []
    for name, photo in photos.items():
        height, width = photo.shape[1:]
        if min(height, width) < size:
            raise BadData(
                f"{name} has {width}×{height} pixels, which holds no patch of {size}×{size}: leave it out, or take "
                "smaller patches"
            )
        layers.append(photo)
        if SMALLER * min(height, width) >= size:
            small = bicubic(photo[None] / 255, round(SMALLER * height), round(SMALLER * width))[0]
            layers.append((small.clamp(0, 1) * 255).round().to(torch.uint8))
    areas = [layer[0].numel() for layer in layers]
    found = []
    for number, layer in enumerate(layers):
        keys = keyed.hashed(torch.arange(max(1, round(count * areas[number] / sum(areas)))), key, number)
        corners = [
            (keyed.uniform(keys, draw) * (side - size + 1)).long().tolist() for draw, side in enumerate(layer.shape[1:])
        ]
        found += [layer[:, top : top + size, left : left + size] for top, left in zip(*corners, strict=True)]
    return torch.stack(found)


def _learned(test: PhotoSet, channels: int) -> dict[str, Picture]:
    """What scikit-image carries, and Set14 without what the test shows."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise BadData(
            "the photos to learn from come in scikit-image, which is not installed: pip install scikit-image, or give "
            "a folder of photos"
        )
    data = Path(package.origin).parent / "data"
    missing = [name for name in PACKAGED if not (data / name).is_file()]
    if missing:
        raise BadData(f"{data} holds no {', '.join(missing)}: pip install 'scikit-image>=0.25'")
    found = {name: _bytes(data / name, channels) for name in PACKAGED}
    found |= read_photos(zipfile.Path(SET14.file.find()) / SET14.folder, channels)
    return {name: picture for name, picture in found.items() if name.partition(".")[0] not in test.same}


def _bytes(place: Place, channels: int) -> Picture:
    raw = place.read_bytes() if isinstance(place, zipfile.Path) else place
    return (pixels(raw, channels, name=str(place)) * 255).round().to(torch.uint8)

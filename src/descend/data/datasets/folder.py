"""A folder of pictures, one folder inside it a class."""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from descend.data.codecs import ImageCodec
from descend.data.data import Data, Files, Tensors, free_memory
from descend.data.errors import BadData
from descend.data.splits import Splits, split
from descend.functional import keyed

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}

_PARTS = {"train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid"}
_PARTS |= {"test": "test", "testing": "test"}

TEST = 0.15
"""Share of all pictures, where their folders do not say which are for test."""

ENOUGH = 2000
"""Training pictures that a mean and a spread are taken of, where not all are in memory."""


def folder(
    path: str | Path,
    size: int = 64,
    channels: int = 3,
    key: int = 0,
    limit: float | None = None,
    strict: bool = False,
    like: ImageCodec | None = None,
    held: float = 0.15,
) -> Splits:
    """The pictures below ``path/CLASS/``, at any depth, split by key, of each class alike, 15 of 100 for test; or those
    below ``path/train/CLASS/`` and ``path/test/CLASS/``, with ``path/valid/CLASS/`` (or ``val``) if it is there.

    Every file is read once at the start, by all cores, so that what is broken is known before the first step. What
    fits in memory is held; a larger folder is read again while training. What is left out (files that are no pictures,
    torn ones, pictures in no class's folder, folders without a picture) is named in one warning; so are classes of one
    picture, which is learned from and never asked for.

    Args:
        path: the folder.
        size: height and width to which pictures are brought, in pixels.
        channels: 1 (grey) or 3 (RGB).
        key: of the split.
        limit: bytes that the pictures may take in memory; a quarter of what is free if None.
        strict: leave nothing out.
        like: standardise as this codec does, for a network that was trained so; as fits the training pictures if None.
        held: share of all pictures, or of those in ``path/train/``, that is held out for validation where there is no
            ``path/valid/``. 0 learns from all, for few pictures: then nothing chooses the best epoch.

    Raises:
        ValueError: ``held`` is not 0 … 0.8.
        BadData: with ``strict``, something would be left out; there are no class folders, fewer than two classes, too
            few pictures to split, or a folder for validation without one for test.
    """
    if not 0 <= held <= 0.8:
        raise ValueError(f"held is {held}: give the share of pictures to hold out for validation, 0 … 0.8")
    found = Pictures.below(Path(path), ImageCodec(size, size, channels), limit, strict)
    if found.given:
        parts = _given(found, held, key)
    else:
        fractions = (1 - TEST - held, held, TEST) if held else (1 - TEST, TEST)
        parts = split(len(found.files), fractions, key, classes=found.targets)
    codec = found.codec(like, parts[0], found.labels, key)
    data = found.data(parts, codec)
    return Splits(data[0], data[1] if len(data) == 3 else None, data[-1], codec, found.root.name)


@dataclass
class Pictures:
    """The pictures below class folders that can be used.

    Attributes:
        root: the folder around these.
        labels: the classes' names.
        files: of the pictures.
        targets: their classes.
        part_of: number of the given part that each lies in; 0 where none is given.
        given: names of these parts, training first; empty where none is given.
        pixels: of 0 … 1; none where they do not fit in memory.
        plain: reads them.
    """

    root: Path
    labels: tuple[str, ...]
    files: list[Path]
    targets: Int[Tensor, "n"]
    part_of: Int[Tensor, "n"]
    given: list[str]
    pixels: Float[Tensor, "n channels height width"] | None
    plain: ImageCodec

    @classmethod
    def below(cls, root: Path, plain: ImageCodec, limit: float | None, strict: bool) -> Pictures:
        """Read every file once; what is left out, and what is odd, is told in one warning.

        Raises:
            BadData: as `folder`.
        """
        if not root.is_dir():
            raise BadData(f"there is no folder {root}")
        given = _parts(root)
        roots = [root / name for name in given] or [root]
        names = _folders(roots[0])
        files = [
            (file, name, part) for part, each in enumerate(roots) for name in names for file in _files(each / name)
        ]
        fits = 4.0 * math.prod(plain.shape) * len(files) <= (free_memory() / 4 if limit is None else limit)
        pixels = torch.empty(len(files) if fits else 0, *plain.shape)
        loose = sorted(
            p for each in {root, *roots} for p in each.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES
        )
        refused = [f"{file} lies in no class's folder" for file in loose]
        beside = [root / name for name in _folders(root) if given and name not in given]
        refused += [f"{folder} is no part, as {' and '.join(given)} are" for folder in beside]
        strange = [each / name for each in roots[1:] for name in _folders(each) if name not in names]
        refused += [f"{folder} is of a class that {roots[0]} has not" for folder in strange]
        wrong = _read(plain, [file for file, *_ in files], pixels)
        refused += [why for why in wrong if why]
        good = [each for each, why in zip(files, wrong, strict=True) if not why]
        for place, old in enumerate(i for i, why in enumerate(wrong) if fits and not why):
            pixels[place] = pixels[old]  # what is left out leaves no gap, and nothing is held twice
        if strict and refused:
            raise BadData(f"{root}: {_some(refused, 'file')} cannot be used: {'; '.join(refused[:3])}")
        counts = Counter(name for _, name, part in good if part == 0)
        labels = tuple(name for name in names if counts[name])
        empty, single = ([name for name in names if counts[name] == count] for count in (0, 1))
        _tell(root, refused, empty, single)
        if len(labels) < 2:
            raise BadData(
                f"{root} holds {len(labels)} folders with pictures: pictures belong in one folder a class, "
                f"{root}/CLASS/picture.jpg, of two classes at least"
            )
        known = [place for place, (_, name, _) in enumerate(good) if counts[name]]
        if len(known) < len(good):  # a class of which nothing is left to learn from
            good, pixels = [good[place] for place in known], pixels[known] if fits else pixels
        targets, part_of = (torch.tensor(one) for one in ([labels.index(n) for _, n, _ in good], [p for *_, p in good]))
        return cls(
            root,
            labels,
            [file for file, *_ in good],
            targets,
            part_of,
            given,
            pixels[: len(good)] if fits else None,
            plain,
        )

    def codec(
        self, like: ImageCodec | None, part: Int[Tensor, "some"], labels: tuple[str, ...], key: int
    ) -> ImageCodec:
        """For these classes, standardising as another does; or, if None, as fits this part, or enough of it."""
        if like is None and self.pixels is not None:
            return ImageCodec.fit(self.pixels[part], labels)
        if like is None:
            enough = part[keyed.permutation(len(part), key)[:ENOUGH]].tolist()
            mean, std = self._look([self.files[place] for place in enough])
        else:
            mean, std = like.mean, like.std
        return ImageCodec(self.plain.height, self.plain.width, self.plain.channels, mean, std, labels)

    def _look(self, files: list[Path]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and spread of the channels of some pictures, one of which is held at a time."""
        moments = torch.zeros(2, self.plain.channels, dtype=torch.float64)
        for file in files:
            pixels = self.plain.pixels(file).double().flatten(1)
            moments += torch.stack([pixels.mean(1), pixels.square().mean(1)]) / len(files)
        mean, square = moments
        count = len(files) * self.plain.height * self.plain.width
        std = ((square - mean.square()) * count / (count - 1)).clamp(min=1e-6).sqrt()
        return tuple(mean.tolist()), tuple(std.tolist())

    def data(self, parts: list[Tensor], codec: ImageCodec) -> list[Data]:
        """The samples of each part, in memory or in their files."""
        if self.pixels is not None:
            pixels, targets = self.pixels, self.targets
            return [Tensors(x=codec.standardise(pixels[part]), target=targets[part]) for part in parts]
        items = list(zip(self.files, self.targets.tolist(), strict=True))
        return [Files([items[place] for place in part.tolist()], _Reader(codec)) for part in parts]


class _Reader:
    """Reads a picture and its class; an object, so that worker processes can take it along on any system."""

    def __init__(self, codec: ImageCodec):
        self.codec = codec

    def __call__(self, item: tuple[Path, int]) -> dict[str, Tensor]:
        path, target = item
        return {**self.codec.encode(path), "target": torch.tensor(target)}


def _given(found: Pictures, held: float, key: int) -> list[Tensor]:
    """Training, validation and test samples, as their folders say; no validation ones where none are held out."""
    parts = [(found.part_of == place).nonzero().flatten() for place in range(len(found.given))]
    for name, part in zip(found.given, parts, strict=True):
        if len(part) == 0:
            raise BadData(f"{found.root / name} holds no picture of a class that {found.root / found.given[0]} has")
    if len(parts) == 2 and held:
        known, asked = split(len(parts[0]), (1 - held, held), key, classes=found.targets[parts[0]])
        parts = [parts[0][known], parts[0][asked], parts[1]]
    return parts


def _parts(root: Path) -> list[str]:
    """Folders that say which pictures are for what: for training, for validation if there is one, for test."""
    found = {_PARTS[name.lower()]: name for name in _folders(root) if name.lower() in _PARTS}
    if set(found) == {"train", "valid"}:
        raise BadData(
            f"{root} holds {found['train']} and {found['valid']}, but no folder test: add it; or call "
            f"{found['valid']} test, and validation pictures are taken from {found['train']}"
        )
    return (
        [found[part] for part in ("train", "valid", "test") if part in found] if {"train", "test"} <= set(found) else []
    )


def _folders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    """At any depth, but for what is hidden: there, programs keep copies. None if there is no such folder."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return sorted(p for p in found if not any(name.startswith(".") for name in p.relative_to(folder).parts))


def _read(codec: ImageCodec, files: list[Path], pixels: Tensor) -> list[str]:
    """What is wrong with each file, "" where nothing is; its pixels go into that row, where there are rows."""

    def read(place: int, file: Path) -> str:
        if file.suffix.lower() not in SUFFIXES:
            return f"{file} is no picture by its name"
        try:
            found = codec.pixels(file)
        except BadData as error:
            return str(error)
        if len(pixels):
            pixels[place] = found
        return ""

    # Decoders let go of the interpreter's lock. Warnings are switched off out here, because threads share the switch.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(read, range(len(files)), files))


def _tell(root: Path, refused: list[str], empty: list[str], single: list[str]) -> None:
    """One warning for all that is odd."""
    said = []
    if refused:
        said.append(f"{_some(refused, 'file')} left out: {'; '.join(refused[:3])}")
    if empty:
        said.append(f"{_some(empty, 'folder')} without a picture left out: {', '.join(empty[:3])}")
    if single:
        said.append(f"{_some(single, 'class', 'classes')} of one picture, only learned from: {', '.join(single[:3])}")
    if said:
        warnings.warn(f"{root}: {'. '.join(said)}", stacklevel=4)


def _some(things: list[str], one: str, many: str = "") -> str:
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"

"""A folder of pictures, one folder inside it a class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from descend.data.codecs import ImageCodec
from descend.data.data import Files, Tensors
from descend.data.errors import BadData
from descend.data.splits import Splits, split

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def folder(path: str | Path, size: int = 64, channels: int = 3, key: int = 0) -> Splits:
    """The pictures below ``path/CLASS/``, at any depth, split 70/15/15 by key, of each class alike.

    Files that are no pictures, or torn, are named in one warning and left out. What fits in a quarter of the free
    memory is read once and held.

    Args:
        path: the folder.
        size: height and width to which pictures are brought, in pixels.
        channels: 1 (grey) or 3 (RGB).
        key: of the split.

    Raises:
        BadData: there are no class folders, fewer than two classes, or too few pictures to split.
    """
    root = Path(path)
    if not root.is_dir():
        raise BadData(f"there is no folder {root}")
    labels = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")))
    if len(labels) < 2:
        raise BadData(
            f"{root} holds {len(labels)} folders: pictures belong in one folder a class, {root}/CLASS/picture.jpg, "
            "of two classes at least"
        )
    codec = ImageCodec(size, size, channels, labels=labels)
    items, refused = _find(root, labels, codec)
    if refused:
        first = "; ".join(refused[:3])
        warnings.warn(f"{len(refused)} of {len(items) + len(refused)} files are left out: {first}", stacklevel=2)
    targets = torch.tensor([target for _, target in items], dtype=torch.long)
    empty = [label for i, label in enumerate(labels) if not bool((targets == i).any())]
    if empty:
        raise BadData(f"{root / empty[0]} holds no picture that can be read: fill the folder or remove it")
    parts = split(len(items), (0.7, 0.15, 0.15), key, classes=targets)
    train = Files([items[i] for i in parts[0].tolist()], _Reader(codec, standard=False)).in_memory()
    sample = train.gather(torch.arange(min(len(train), 2000)))["x"]
    codec = codec.fitted(sample)
    read = _Reader(codec)
    if isinstance(train, Tensors):
        train = Tensors(x=codec.standardise(train.tensors["x"]), target=train.tensors["target"])
    else:
        train = Files(train.items, read)  # type: ignore[attr-defined]
    valid, test = (Files([items[i] for i in part.tolist()], read).in_memory() for part in parts[1:])
    return Splits(train, valid, test, codec, root.name)


class _Reader:
    """Reads a picture and its class; an object, so that worker processes can take it along."""

    def __init__(self, codec: ImageCodec, standard: bool = True):
        self.codec = codec
        self.standard = standard

    def __call__(self, item: tuple[Path, int]) -> dict[str, Tensor]:
        path, target = item
        pixels = self.codec.pixels(path)
        return {"x": self.codec.standardise(pixels) if self.standard else pixels, "target": torch.tensor(target)}


def _find(root: Path, labels: tuple[str, ...], codec: ImageCodec) -> tuple[list[tuple[Path, int]], list[str]]:
    """The pictures with their class, and what was left out, with the reason."""
    items: list[tuple[Path, int]] = []
    refused: list[str] = []
    for target, label in enumerate(labels):
        for file in sorted(p for p in (root / label).rglob("*") if p.is_file() and not p.name.startswith(".")):
            try:
                _look(file)
                items.append((file, target))
            except BadData as error:
                refused.append(str(error))
    return items, refused


def _look(file: Path) -> None:
    from PIL import Image

    if file.suffix.lower() not in SUFFIXES:
        raise BadData(f"{file} is no picture by its name")
    try:
        with Image.open(file) as picture:
            picture.verify()
    except Exception as error:  # Pillow raises what its decoders raise
        raise BadData(f"{file} cannot be read ({_line(error)})") from None


def _line(error: Any) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

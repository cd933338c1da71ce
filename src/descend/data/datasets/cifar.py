"""CIFAR-10 (Krizhevsky 2009): 32×32 colour pictures of ten kinds of things, here as JPEG files of quality 75.

The compression loses a little, so scores sit a little under those on the lossless pictures.
"""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from descend.data.codecs import ImageCodec
from descend.data.data import Tensors
from descend.data.datasets.files import Official
from descend.data.errors import BadData
from descend.data.splits import Splits, split

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

ARCHIVE = Official(
    "cifar10-jpeg.tar.xz",
    "",
    18_847_016,
    "ef2b40c37da67ae4cafcd655e09e887f7e2ca1a53c9ae6d96e7d222436f37860",
)
"""train/LABEL/NUMBER.jpg and test/LABEL/NUMBER.jpg; nobody serves it in one piece."""


def cifar10() -> Splits:
    """47,500 pictures [3, 32, 32] to learn from, 2,500 for validation, 250 of each kind, chosen by a fixed key, and the
    10,000 official test pictures. Reading them takes some ten seconds.

    Raises:
        BadData: the archive is neither in ``$DESCEND_DATA`` nor in the cache, or is not the one that is meant.
    """
    (x, labels), (test_x, test_labels) = read_archive(ARCHIVE.find(), ("train", "test"))
    own, held = split(len(labels), (0.95, 0.05), 10, classes=labels)
    codec = ImageCodec.fit(x[own], LABELS)
    x, test_x = codec.standardise(x), codec.standardise(test_x)
    return Splits(
        Tensors(x=x[own], target=labels[own]),
        Tensors(x=x[held], target=labels[held]),
        Tensors(x=test_x, target=test_labels),
        codec,
        "cifar10",
    )


def read_archive(
    path: Path, parts: tuple[str, ...]
) -> list[tuple[Float[Tensor, "n 3 height width"], Int[Tensor, "n"]]]:
    """Pictures (0 … 1) and classes of each part, in the order of their names; nothing is unpacked to disk.

    Raises:
        BadData: the archive is torn, or a picture in it is, or has another size than the first.
    """
    found: dict[str, list[tuple[str, bytes]]] = {part: [] for part in parts}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                part, _, name = member.name.partition("/")
                file = archive.extractfile(member) if part in found else None
                if file is not None:
                    found[part].append((name, file.read()))
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise BadData(f"{path} cannot be unpacked ({error}): put a whole copy there") from None
    result = []
    for part, files in found.items():
        files.sort()
        if not files:
            raise BadData(f"{path} holds no pictures in {part}/: is it another archive?")
        pixels = torch.from_numpy(_decoded(files, f"{path}: {part}"))
        try:
            labels = torch.tensor([LABELS.index(name.partition("/")[0]) for name, _ in files])
        except ValueError:
            raise BadData(f"{path}: folders in {part}/ are not the classes {', '.join(LABELS)}") from None
        result.append((pixels.permute(0, 3, 1, 2).contiguous().float() / 255, labels))
    return result


def _decoded(files: list[tuple[str, bytes]], where: str) -> np.ndarray:
    """[n, height, width, 3] of bytes."""
    from PIL import Image

    pixels = None
    for place, (name, content) in enumerate(files):
        try:
            picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        except (OSError, SyntaxError) as error:
            raise BadData(f"{where}/{name} is torn or broken ({error})") from None
        if pixels is None:
            pixels = np.empty((len(files), *picture.shape), np.uint8)
        if picture.shape != pixels.shape[1:]:
            raise BadData(f"{where}/{name} is {picture.shape[1]}×{picture.shape[0]}, not as large as the first")
        pixels[place] = picture
    assert pixels is not None
    return pixels

"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 28×28 grey pictures of ten kinds of clothes."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from descend.data.codecs import ImageCodec, PictureCodec
from descend.data.data import Tensors
from descend.data.datasets.files import Official
from descend.data.errors import BadData
from descend.data.splits import Splits
from descend.functional import keyed

LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

_HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
FILES = {
    "train-images": Official(
        "fashion-mnist/train-images-idx3-ubyte.gz",
        f"{_HOME}/train-images-idx3-ubyte.gz",
        26_421_856,
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    ),
    "train-labels": Official(
        "fashion-mnist/train-labels-idx1-ubyte.gz",
        f"{_HOME}/train-labels-idx1-ubyte.gz",
        29_491,
        "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    ),
    "t10k-images": Official(
        "fashion-mnist/t10k-images-idx3-ubyte.gz",
        f"{_HOME}/t10k-images-idx3-ubyte.gz",
        4_422_079,
        "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    ),
    "t10k-labels": Official(
        "fashion-mnist/t10k-labels-idx1-ubyte.gz",
        f"{_HOME}/t10k-labels-idx1-ubyte.gz",
        5_125,
        "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    ),
}


def fashion_mnist() -> Splits:
    """60,000 pictures to learn from, the last 5,000 of them for validation, and the 10,000 official test pictures."""
    pictures, labels = read_idx(FILES["train-images"].find()), read_idx(FILES["train-labels"].find())
    test_pictures, test_labels = read_idx(FILES["t10k-images"].find()), read_idx(FILES["t10k-labels"].find())
    x, test_x = (p[:, None].float() / 255 for p in (pictures, test_pictures))
    codec = ImageCodec.fit(x[:55_000], LABELS)
    x, test_x = codec.standardise(x), codec.standardise(test_x)
    return Splits(
        Tensors(x=x[:55_000], target=labels[:55_000].long()),
        Tensors(x=x[55_000:], target=labels[55_000:].long()),
        Tensors(x=test_x, target=test_labels.long()),
        codec,
        "fashion-mnist",
    )


def fashion_pictures(binary: bool = False, key: int = 0) -> Splits:
    """The same pictures as they are, ``x`` of 0 … 1 and their class in ``target``: all 60,000 to learn to make such
    from, the official test pictures, and none for validation.

    Args:
        binary: each pixel is drawn once as 0 or 1, 1 with its brightness for a probability (as Salakhutdinov and Murray
            2008 drew digits), by key.
        key: of these draws.
    """
    parts = []
    for number, name in enumerate(("train", "t10k")):
        x = read_idx(FILES[f"{name}-images"].find())[:, None].float() / 255
        if binary:
            x = (torch.rand(x.shape, generator=keyed.generator(key, number)) < x).float()
        parts.append(Tensors(x=x, target=read_idx(FILES[f"{name}-labels"].find()).long()))
    codec = PictureCodec(28, 28, 1, LABELS)
    return Splits(parts[0], None, parts[1], codec, "fashion-pictures" + "-binary" * binary)


def read_idx(path: Path) -> UInt8[Tensor, "..."]:
    """A gzipped idx file of bytes: magic 0, 0, 8, number of axes; each axis as a big-endian number; the data.

    Raises:
        BadData: it is torn, or its header does not fit what follows.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path} cannot be unpacked ({error}): delete it and let it be fetched anew") from None
    axes = content[3] if len(content) > 4 else 0
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    if content[:3] != b"\0\0\x08" or len(content) != 4 + 4 * axes + math.prod(shape):
        raise BadData(f"{path} is no idx file of bytes: its header says {shape}, {len(content):,} bytes are there")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape).copy())

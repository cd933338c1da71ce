"""Handwritten digits, 8×8 (Alpaydin and Kaynak 1998), as scikit-learn carries them."""

from typing import Any

import torch

from descend.data.codecs import ImageCodec
from descend.data.data import Tensors
from descend.data.splits import Splits, split


def digits() -> Splits:
    """1,797 pictures [1, 8, 8] of 43 people's digits, split 80/10/10 by a fixed key, of each digit alike: 1,438 to
    learn from, 179 for validation, 180 for the test."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    pictures = torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16  # scikit-learn's ink is 0 … 16
    labels = torch.tensor(bunch.target)
    parts = split(len(labels), (0.8, 0.1, 0.1), 1797, classes=labels)
    codec = ImageCodec.fit(pictures[parts[0]], labels=tuple(str(i) for i in range(10)))
    x = codec.standardise(pictures)
    train, valid, test = (Tensors(x=x[part], target=labels[part]) for part in parts)
    return Splits(train, valid, test, codec, "digits")

"""Classes as what is normal and what is odd, to learn from normal pictures alone (Tax and Duin 2004)."""

from __future__ import annotations

import torch

from descend.data.codecs import NoveltyCodec
from descend.data.data import Tensors
from descend.data.splits import Splits


def novelty(data: Splits, normal: int | None = None) -> Splits:
    """A data set of classes to learn one of them from, and to be asked whether others are odd.

    Args:
        data: pictures of 0 … 1 in memory, and their classes.
        normal: the class that is normal: the only one that is learned from, and target 0; whatever else is asked has
            target 1. If None, each class in its turn is normal, as its own network sees it; targets stay as they are.

    Raises:
        ValueError: there is no such class, or the pictures are in files.
    """
    labels, parts = data.codec.labels or (), {"train": data.train, "test": data.test}
    if normal is not None and not 0 <= normal < len(labels):
        raise ValueError(f"{data.name} has no class {normal}: 0 … {len(labels) - 1} are {', '.join(labels)}")
    tensors = {}
    for name, part in parts.items():
        if not isinstance(part, Tensors):
            raise ValueError(f"{data.name}: {name} is in files: read them, Files.in_memory()")
        x, target = part.tensors["x"], part.tensors["target"]
        if normal is not None:
            kept = target == normal if name == "train" else torch.ones_like(target, dtype=torch.bool)
            x, target = x[kept], (target[kept] != normal).long()
        tensors[name] = Tensors(x=x, target=target)
    channels, height, width = data.shape
    codec = NoveltyCodec(height, width, channels, labels if normal is None else (labels[normal],))
    name = f"{data.name}, {'each' if normal is None else labels[normal]} normal"
    return Splits(tensors["train"], None, tensors["test"], codec, name)

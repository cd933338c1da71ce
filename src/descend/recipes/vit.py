"""A Vision Transformer on small pictures, from patches or from convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from descend.data import (
    Affine,
    Augment,
    Colour,
    Compose,
    CutMix,
    Cutout,
    Flip,
    Light,
    RandAugment,
    RandomCrop,
    Splits,
    datasets,
)
from descend.engine import Choice, Experiment, recipe
from descend.models import Mirrored, ViT
from descend.nn import ConvStem, LearnedGrid, PatchEmbed
from descend.optim import EMA, Muon, OneCycle
from descend.tasks import Classify


def patches(channels: int, width: int) -> PatchEmbed:
    """Squares of 4×4 pixels, the paper's way."""
    return PatchEmbed(channels, width, 4)


def convolutions(channels: int, width: int) -> ConvStem:
    """Two convolutions that halve the picture."""
    return ConvStem(channels, width, (32, 64))


def deep(channels: int, width: int) -> ConvStem:
    """Four convolutions, two of each size, and wider: the stem does as much work as the blocks."""
    return ConvStem(channels, width, (64, 128), depth=2)


def light(splits: Splits) -> Augment:
    """Mirrored, and shifted by a sixteenth of a side."""
    return Compose((Flip(), RandomCrop(splits.shape[1] // 16)))


def drawn(splits: Splits) -> Augment:
    """Also turned, lit, coloured or cut out, two of them at a time (Cubuk et al. 2020): for an hour and more, in which
    the network would learn the pictures by heart."""
    two = RandAugment((Affine(), Light(), Colour(), Cutout()))
    return Compose((Flip(), RandomCrop(splits.shape[1] // 8), two))


def strong(splits: Splits) -> Augment:
    """Also mixed with a neighbour, for larger networks and longer runs (Touvron et al. 2021, table 8)."""
    return Compose((drawn(splits), CutMix(splits.classes)))


@recipe
def vit(
    data: Annotated[Callable[[], Splits], Choice(fashion=datasets.fashion_mnist, cifar10=datasets.cifar10)] = (
        datasets.fashion_mnist
    ),
    stem: Annotated[
        Callable[[int, int], PatchEmbed | ConvStem], Choice(patches=patches, convolutions=convolutions, deep=deep)
    ] = patches,
    augment: Annotated[Callable[[Splits], Augment], Choice(light=light, drawn=drawn, strong=strong)] = light,
    width: int = 128,
    depth: int = 4,
    heads: int = 4,
    batch: int = 64,
    epochs: int = 8,
) -> Experiment:
    """Tell ten kinds of things apart by attention among squares of a small picture.

    descend train vit
    descend train vit --stem convolutions
    descend train vit --data cifar10 --epochs 9                              # accuracy 0.795 in 13 min
    descend train vit --data cifar10 --stem convolutions --epochs 9          # accuracy 0.820 in 15 min on two cores
    descend train vit --data cifar10 --stem deep --augment drawn --epochs 44 # accuracy 0.904 in 82 min on one core
    # For a GPU:
    descend train vit --data cifar10 --stem convolutions --augment strong --width 384 --depth 9 --heads 6 --epochs 60
    """
    splits = data()
    channels, height, across = splits.shape
    position = LearnedGrid(width, height // 4, across // 4)
    network = ViT(stem(channels, width), splits.classes, position, depth, heads, 2 * width)
    # In so few epochs it learns too little by heart for dropout or smoothed labels to help.
    optimizer = Muon(0.01, weight_decay=0.02, rest_lr=4e-3, schedule=OneCycle(), average=EMA(0.998))
    return Experiment(
        task=Classify(Mirrored(network), optimizer),
        data=splits,
        batch=batch,
        epochs=epochs,
        augment=augment(splits),
    )

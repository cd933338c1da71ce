"""Keyed augmentation of picture batches: what happens to a sample depends on (seed, epoch, sample) alone; what is mixed
into it, on its batch, too."""

from descend.data.augment.augment import Augment, Compose, RandAugment
from descend.data.augment.damage import Damage, Downscale, Hole, Noise
from descend.data.augment.light import Colour, Cutout, Light
from descend.data.augment.mixing import CutMix, Mixing, Mixup
from descend.data.augment.moving import Affine, Crop, Flip, FlipUnless, Moving, RandomCrop, Turn

__all__ = [
    "Affine",
    "Augment",
    "Colour",
    "Compose",
    "Crop",
    "CutMix",
    "Cutout",
    "Damage",
    "Downscale",
    "Flip",
    "FlipUnless",
    "Hole",
    "Light",
    "Mixing",
    "Mixup",
    "Moving",
    "Noise",
    "RandAugment",
    "RandomCrop",
    "Turn",
]

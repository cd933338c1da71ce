"""Batches, streams, data sets, codecs, augmentation."""

from descend.data import datasets
from descend.data.augment import (
    Affine,
    Augment,
    Colour,
    Compose,
    Crop,
    CutMix,
    Cutout,
    Flip,
    Light,
    Mixing,
    Mixup,
    Moving,
    RandAugment,
    RandomCrop,
    Turn,
)
from descend.data.batch import Batch
from descend.data.codecs import Category, Codec, Column, Date, ImageCodec, MaskCodec, Number, TableCodec
from descend.data.data import Data, Files, Tensors
from descend.data.errors import BadData
from descend.data.loader import Loader
from descend.data.replay import Actor, Environment, Replay
from descend.data.splits import Splits, split
from descend.data.stream import Stream, Zip

__all__ = [
    "Actor",
    "Affine",
    "Augment",
    "BadData",
    "Batch",
    "Category",
    "Codec",
    "Colour",
    "Column",
    "Compose",
    "Crop",
    "CutMix",
    "Cutout",
    "Data",
    "Date",
    "Environment",
    "Files",
    "Flip",
    "ImageCodec",
    "Light",
    "Loader",
    "MaskCodec",
    "Mixing",
    "Mixup",
    "Moving",
    "Number",
    "RandAugment",
    "RandomCrop",
    "Replay",
    "Splits",
    "Stream",
    "TableCodec",
    "Tensors",
    "Turn",
    "Zip",
    "datasets",
    "split",
]

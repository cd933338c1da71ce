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
    Damage,
    Downscale,
    Flip,
    Hole,
    Light,
    Mixing,
    Mixup,
    Moving,
    Noise,
    RandAugment,
    RandomCrop,
    Turn,
)
from descend.data.batch import Batch
from descend.data.codecs import (
    BoxCodec,
    Category,
    Codec,
    Column,
    Date,
    EmbedCodec,
    ImageCodec,
    MaskCodec,
    Number,
    PhotoCodec,
    TableCodec,
)
from descend.data.data import Data, Files, Tensors
from descend.data.errors import BadData
from descend.data.loader import Loader
from descend.data.order import Together
from descend.data.replay import Actor, Environment, Replay
from descend.data.splits import Splits, split
from descend.data.stream import Stream, Zip

__all__ = [
    "Actor",
    "Affine",
    "Augment",
    "BadData",
    "Batch",
    "BoxCodec",
    "Category",
    "Codec",
    "Colour",
    "Column",
    "Compose",
    "Crop",
    "CutMix",
    "Cutout",
    "Damage",
    "Data",
    "Date",
    "Downscale",
    "EmbedCodec",
    "Environment",
    "Files",
    "Flip",
    "Hole",
    "ImageCodec",
    "Light",
    "Loader",
    "MaskCodec",
    "Mixing",
    "Mixup",
    "Moving",
    "Noise",
    "Number",
    "PhotoCodec",
    "RandAugment",
    "RandomCrop",
    "Replay",
    "Splits",
    "Stream",
    "TableCodec",
    "Tensors",
    "Together",
    "Turn",
    "Zip",
    "datasets",
    "split",
]

"""Networks that make pictures."""

from descend.models.generative.autoencoder import (
    ConvDecoder,
    ConvEncoder,
    Decoder,
    MapDecoder,
    MapEncoder,
    MLPDecoder,
    check_shape,
)
from descend.models.generative.codebook import Codebook
from descend.models.generative.conditions import Asked, CaptionCondition, ClassCondition, Condition, TimeEmbedding
from descend.models.generative.dit import DiT, DiTBlock
from descend.models.generative.gan import ClassNorm, ConvCritic, ConvGenerator, Spectral
from descend.models.generative.unet import DenoisingUNet, PlacesBlock, TimedBlock

__all__ = [
    "Asked",
    "CaptionCondition",
    "ClassCondition",
    "ClassNorm",
    "Codebook",
    "Condition",
    "ConvCritic",
    "ConvDecoder",
    "ConvEncoder",
    "ConvGenerator",
    "Decoder",
    "DenoisingUNet",
    "DiT",
    "DiTBlock",
    "MLPDecoder",
    "MapDecoder",
    "MapEncoder",
    "PlacesBlock",
    "Spectral",
    "TimeEmbedding",
    "TimedBlock",
    "check_shape",
]

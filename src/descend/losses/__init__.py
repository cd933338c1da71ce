"""Pure functions: tensors in, `Mean` out."""

from descend.losses.classification import (
    binary_cross_entropy,
    binary_hinge,
    cross_entropy,
    dice,
    focal,
    hinge,
    kl,
    sample_dice,
)
from descend.losses.embedding import arcface, contrastive, cosine, info_nce, semi_hard_triplet, triplet
from descend.losses.language import word_cross_entropy
from descend.losses.regression import huber, mae, mse, quantile

__all__ = [
    "arcface",
    "binary_cross_entropy",
    "binary_hinge",
    "contrastive",
    "cosine",
    "cross_entropy",
    "dice",
    "focal",
    "hinge",
    "huber",
    "info_nce",
    "kl",
    "mae",
    "mse",
    "quantile",
    "sample_dice",
    "semi_hard_triplet",
    "triplet",
    "word_cross_entropy",
]

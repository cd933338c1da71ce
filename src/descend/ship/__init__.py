"""Trained networks in and out."""

from descend.ship.folders import load
from descend.ship.pretrained import efficientnet_lite0, minilm

__all__ = ["efficientnet_lite0", "load", "minilm"]

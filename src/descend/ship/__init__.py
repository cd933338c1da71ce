"""Trained networks in and out."""

from descend.ship.pretrained import efficientnet_lite0

__all__ = ["efficientnet_lite0"]

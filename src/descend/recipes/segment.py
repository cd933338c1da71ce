"""Membranes of nerve cells, seen by an electron microscope: a class for every pixel."""

from __future__ import annotations

from descend.data import Compose, Crop, Flip, Light, Turn, datasets
from descend.engine import Experiment, recipe
from descend.models import UNet
from descend.nn import GroupNorm
from descend.optim import EMA, AdamW, OneCycle
from descend.tasks import Segment


@recipe
def segment(
    size: int = 512, crop: int = 256, widths: tuple[int, ...] = (24, 48, 96, 192), batch: int = 4, epochs: int = 150
) -> Experiment:
    """Find the membranes between cells in 24 electron micrographs, by pieces of them; 6 are asked, whole.

    descend train segment            # accuracy 0.921, Dice 0.82, in ten minutes on two cores
    """
    data = datasets.membrane(size)
    network = UNet(1, data.classes, widths, GroupNorm(), dropout=0.1)
    optimizer = AdamW(2e-3, weight_decay=0.01, schedule=OneCycle(), average=EMA(0.99))
    return Experiment(
        task=Segment(network, optimizer),
        data=data,
        batch=batch,
        epochs=epochs,
        augment=Compose((Crop(crop, crop), Flip(), Turn(), Light(0.2, 0.3))),
        every=100,
    )

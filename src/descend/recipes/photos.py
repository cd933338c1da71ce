"""Any folder of pictures, one folder inside it a class."""

from __future__ import annotations

from pathlib import Path

from descend.data import Compose, Flip, Light, RandomCrop, datasets
from descend.engine import Experiment, recipe
from descend.models import ResNet
from descend.nn import GroupNorm
from descend.optim import EMA, Muon, OneCycle
from descend.tasks import Classify


@recipe
def photos(
    data: Path, size: int = 64, grey: bool = False, batch: int = 32, epochs: int = 20, workers: int = 2
) -> Experiment:
    """Tell apart the pictures of a folder by the folders inside it: data/CLASS/picture.jpg.

    descend train photos --data folder/
    """
    splits = datasets.folder(data, size, channels=1 if grey else 3)
    network = ResNet(splits.shape[0], splits.classes, (2, 2, 2, 2), (16, 32, 64, 128), norm=GroupNorm())
    optimizer = Muon(0.02, weight_decay=0.01, schedule=OneCycle(), average=EMA(0.99))
    return Experiment(
        task=Classify(network, optimizer, label_smoothing=0.1),
        data=splits,
        batch=batch,
        epochs=epochs,
        augment=Compose((Flip(), RandomCrop(size // 16), Light())),
        workers=workers,
    )

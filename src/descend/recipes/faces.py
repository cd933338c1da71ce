"""Faces: whether two pictures show one person, asked of people that were never seen."""

from __future__ import annotations

from pathlib import Path

import torch

from descend.data import Affine, Compose, Data, Flip, Light, datasets
from descend.engine import Experiment, recipe
from descend.functional import keyed
from descend.models import Backbone, Mirrored, Placed
from descend.optim import EMA, AdamW, OneCycle, Rates
from descend.ship import efficientnet_lite0
from descend.ship.pretrained import LITE0_CODEC
from descend.tasks import ArcFace, Embed

COPIES = 4
"""Of each picture, moved, that are looked at before the first step."""
MOST = 500
"""Pictures that are looked at then, person after person: with their copies and mirror images 0.8 GB."""


@recipe
def faces(
    data: Path | None = None,
    size: int = 112,
    width: int = 200,
    margin: float = 0.5,
    batch: int = 32,
    epochs: int = 0,
    split: int = 0,
    strict: bool = False,
) -> Experiment:
    """Learn who is who from 25 people, choose by 5 others, and be asked 10 more: all pairs of their pictures.

    descend train faces                                   # equal error rate 0.047 over five tens, in 32 s, on one core
    descend train faces --split 1                         # other people are learned from, chosen by and asked
    descend train faces --data people/ --epochs 12        # people/PERSON/picture.jpg
    descend train faces --data people/ --width 400 --batch 256 --epochs 40      # for a GPU

    What a network that knows ImageNet says of pictures is weighed by how little it differs within a person. That takes
    no step of descent, and of 25 people each one more made strangers harder to tell; of many, ``epochs`` go on from it.
    """
    if data is None:
        splits = datasets.orl(size, 3, split, like=LITE0_CODEC)
    else:
        splits = datasets.people(data, size, 3, split, strict=strict, like=LITE0_CODEC)
    moved = Affine(size / 14, 10.0, 0.1)
    views, target = looked_at(splits.train, moved)
    # Behind block 13 a map still has places, which the mean over them would lose.
    network = Placed(Backbone(efficientnet_lite0(), (13,)), splits.shape, min(width, len(views)))
    network.begin(views, target)
    optimizer = AdamW(1e-4, weight_decay=0.01, schedule=OneCycle(), average=EMA(0.98), rates=Rates(0.1))
    return Experiment(
        task=Embed(Mirrored(network), ArcFace(splits.classes, network.width, margin, scale=16.0), optimizer),
        data=splits,
        batch=batch,
        epochs=epochs,
        augment=Compose((Flip(), moved, Light())),
    )


def looked_at(data: Data, moved: Affine) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures and moved copies of them, each with its mirror image [n, 2, channels, height, width], and who is on
    them."""
    keys = torch.arange(min(len(data), MOST))
    batch = data.gather(keys)
    x = torch.cat([batch["x"], *(moved(batch, keyed.hashed(keys, copy))["x"] for copy in range(COPIES))])
    return torch.stack([x, x.flip(3)], 1), batch["target"].repeat(1 + COPIES)

"""Photographs twice as large: what the small one has lost, guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from descend.data import Compose, Downscale, Flip, Turn, datasets
from descend.engine import Choice, Experiment, recipe
from descend.losses import mae
from descend.models import EDSR, Backbone, Maps, PatchCritic
from descend.optim import EMA, AdamW, Muon, OneCycle
from descend.ship import efficientnet_lite0
from descend.ship.pretrained import LITE0_CODEC
from descend.tasks import Luminance, Restore, RestoreAdversarial

OPTIMIZER = Muon(0.02, weight_decay=0.01, rest_lr=2e-3, schedule=OneCycle(), average=EMA(0.998))


def true(network: EDSR) -> Restore:
    """As near to every pixel as can be known."""
    return Restore(network, OPTIMIZER, mae, Luminance(network.scale))


def sharp(network: EDSR) -> Restore:
    """As a critic and a network that knows ImageNet want to see it."""
    maps = Maps(Backbone(efficientnet_lite0(), (3,)), LITE0_CODEC.mean, LITE0_CODEC.std)
    judging = AdamW(2e-4, schedule=OneCycle())
    return RestoreAdversarial(
        network, PatchCritic(), OPTIMIZER, judging, mae, Luminance(network.scale), features=maps, closeness=0.1
    )


@recipe
def superres(
    aim: Annotated[Callable[[EDSR], Restore], Choice(true=true, sharp=sharp)] = true,
    scale: int = 2,
    width: int = 64,
    depth: int = 8,
    patch: int = 48,
    batch: int = 16,
    steps: int = 6000,
    photos: Path | None = None,
) -> Experiment:
    """Make photos larger, and be asked the five of Set5; scored by luminance, as published.

    descend train superres                   # 36.8 dB, bicubic 33.7, in 16 min on two cores
    descend train superres --aim sharp
    descend train superres --width 256 --depth 32 --patch 96 --steps 300000      # for a GPU: EDSR's size
    """
    damage = Downscale(scale)
    return Experiment(
        task=aim(EDSR(3, scale, width, depth)),
        data=datasets.restoration(datasets.SET5, damage, 3, patch, photos=photos),
        batch=batch,
        steps=steps,
        augment=Compose((Flip(), Turn(), damage)),
        # PSNR falls as pictures become sharper: scored on the way, a critic's first steps would be the best.
        every=1000 if aim is true else steps,
    )

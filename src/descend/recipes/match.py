"""Which name belongs to which emoji: pictures and captions as points of one space."""

from __future__ import annotations

from pathlib import Path

from descend.data import Affine, Compose, Cutout, FlipUnless, Light, datasets
from descend.engine import Experiment, recipe
from descend.models import CaptionEncoder, PhotoStem, ResNet
from descend.optim import EMA, AdamW, OneCycle
from descend.ship import huggingface, minilm
from descend.tasks import Contrast, Match


@recipe
def match(data: Path | None = None, size: int = 64, width: int = 128, batch: int = 128, epochs: int = 40) -> Experiment:
    """Find the caption that belongs to a picture, among a hundred that were never learned from.

    descend train match
    descend train match --data pictures/         # a folder or zip of pictures and captions.jsonl: {"file", "caption"}

    Captions are read by MiniLM, which knows English and stays as it is; the network for pictures begins with nothing.
    """
    encoder = huggingface.network(minilm())
    splits = datasets.captioned(data, size, (minilm() / "tokenizer.json").read_text("utf-8"), encoder)
    pictures = ResNet(3, width, (1, 1, 1), (64, 128, 256), first=PhotoStem())
    task = Match(
        pictures,
        CaptionEncoder(384, width, encoder=encoder, dropout=0.3),
        Contrast(),
        AdamW(2e-3, weight_decay=0.1, schedule=OneCycle(), average=EMA(0.99)),
    )
    augment = Compose((FlipUnless(), Affine(4.0, 10.0, 0.15), Light(), Cutout()))
    return Experiment(task=task, data=splits, batch=batch, epochs=epochs, augment=augment)

"""Fashion-MNIST in black and white, as a grid of codes out of a learned book."""

from __future__ import annotations

from descend.data import datasets
from descend.engine import Experiment, recipe
from descend.models import GPT, Codebook, MapDecoder, MapEncoder
from descend.nn import LearnedPositions
from descend.optim import EMA, AdamW, OneCycle
from descend.tasks import VQ

SHAPE, PLACES = (1, 28, 28), 7 * 7


@recipe
def vq(
    entries: int = 64,
    width: int = 4,
    widths: tuple[int, ...] = (32, 64),
    prior: int = 64,
    epochs: int = 6,
    batch: int = 128,
) -> Experiment:
    """Bring pictures of clothes to 7×7 codes out of a book, and learn which codes there are, to make new pictures.

    descend train vq                           # at least -271 nats in 6 min, on one core
    descend train vq --width 2                 # -281
    descend train vq --entries 256 --width 8 --widths 64 128 --prior 256 --epochs 40      # for a GPU

    The score is a bound of log p(x) in nats a picture, whose pixels were drawn as 0 or 1 once. ``prior`` is the width
    of the small GPT that tells the codes one by one.
    """
    data = datasets.fashion_pictures(binary=True)
    task = VQ(
        MapEncoder(SHAPE, width, widths),
        Codebook(entries, width),
        MapDecoder(width, SHAPE, widths),
        GPT(entries + 1, prior, 4, 2, LearnedPositions(PLACES, prior)),
        AdamW(4e-3, schedule=OneCycle(), average=EMA(0.998)),
    )
    return Experiment(task=task, data=data, batch=batch, epochs=epochs)

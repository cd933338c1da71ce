"""Fashion-MNIST in black and white, made of a few normal numbers."""

from __future__ import annotations

from descend.data import datasets
from descend.engine import Experiment, recipe
from descend.models import MLP, MLPDecoder
from descend.optim import EMA, AdamW, OneCycle
from descend.tasks import VAE


@recipe
def vae(
    width: int = 8, hidden: tuple[int, ...] = (512, 512), beta: float = 1.0, epochs: int = 25, batch: int = 128
) -> Experiment:
    """Make pictures of clothes of a few normal numbers, and learn which numbers a picture is made of.

    descend train vae                          # at least -236.9 nats in 3 min, on one core
    descend train vae --width 4                # -242.0
    descend train vae --beta 4
    descend train vae --width 32 --hidden 2048 2048 --epochs 200        # for a GPU

    Scores are bounds of log p(x) in nats a picture, whose pixels were drawn as 0 or 1 once: the ELBO, and the one of 64
    weighted draws.
    """
    data = datasets.fashion_pictures(binary=True)
    encoder = MLP(data.features, *hidden, out=2 * width)
    decoder = MLPDecoder(width, *hidden[::-1], shape=(1, 28, 28))
    optimizer = AdamW(3e-3, schedule=OneCycle(), average=EMA(0.998))
    return Experiment(task=VAE(encoder, decoder, optimizer, beta=beta), data=data, batch=batch, epochs=epochs)

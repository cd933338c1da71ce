"""Fashion-MNIST: one kind of clothes is normal, and all others are odd."""

from __future__ import annotations

from descend.data import datasets
from descend.engine import Experiment, recipe
from descend.models import MLPDecoder
from descend.optim import AdamW, OneCycle
from descend.tasks import Novelty


@recipe
def anomaly_pictures(
    normal: int | None = None, hidden: int = 256, sigma: float = 0.3, epochs: float = 10, batch: int = 64
) -> Experiment:
    """Tell odd pictures by how far a denoiser of normal ones moves them; by default each kind is normal in its turn.

    descend train anomaly_pictures                # an AUROC of 0.908 in 59 s, on one core
    descend train anomaly_pictures --normal 0

    Each kind has a network of its own, which sees pictures of no other; ``auroc`` is the mean over kinds.
    """
    data = datasets.novelty(datasets.fashion_pictures(), normal)
    kinds = len(data.train.targets().unique())
    networks = tuple(MLPDecoder(data.features, hidden, shape=(1, 28, 28)) for _ in range(kinds))
    return Experiment(
        task=Novelty(networks, AdamW(3e-3, schedule=OneCycle()), sigma),
        data=data,
        batch=batch * kinds,
        epochs=epochs,
    )

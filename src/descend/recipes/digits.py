"""Handwritten digits, 8×8 pictures: the first network of every course."""

from descend.data import Affine, datasets
from descend.engine import Experiment, recipe
from descend.models import MLP
from descend.optim import EMA, AdamW, Cosine
from descend.tasks import Classify


@recipe
def digits(
    hidden: tuple[int, ...] = (128, 64), lr: float = 1e-2, batch: int = 64, epochs: int = 30, dropout: float = 0.1
) -> Experiment:
    """Read handwritten digits with two hidden layers, as in every first course.

    descend train digits
    """
    data = datasets.digits()
    model = MLP(data.features, *hidden, out=data.classes, dropout=dropout)
    return Experiment(
        task=Classify(model, AdamW(lr, schedule=Cosine(), average=EMA(0.99))),
        data=data,
        batch=batch,
        epochs=epochs,
        augment=Affine(shift=0.6, degrees=10, scale=0.1),
    )

"""A small page of a user's own, for the command's tests."""

from pathlib import Path
from typing import Annotated, Literal

from descend.data import datasets
from descend.engine import Choice, Experiment, recipe
from descend.models import MLP
from descend.optim import SGD, AdamW
from descend.tasks import Classify


@recipe
def tiny(
    hidden: tuple[int, ...] = (16,),
    lr: float = 1e-2,
    epochs: int = 3,
    dropout: float = 0.0,
    optimizer: Annotated[type, Choice(adamw=AdamW, sgd=SGD)] = AdamW,
    size: Literal["small", "large"] = "small",
    note: Path | None = None,
    wide: bool = False,
) -> Experiment:
    """Read digits with one small hidden layer.

    descend train page.py        # for tests <only>
    """
    data = datasets.digits()
    model = MLP(data.features, *(hidden * (2 if wide else 1)), out=data.classes, dropout=dropout)
    return Experiment(task=Classify(model, optimizer(lr)), data=data, batch=64, epochs=epochs)

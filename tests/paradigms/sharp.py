"""Weights in a flat place: the gradient is taken where the loss nearby is worst (Foret et al. 2021): a rule, no new
task."""

from descend.data import datasets
from descend.engine import Experiment, evaluate, recipe
from descend.models import MLP
from descend.optim import SGD, Cosine, SharpnessAware
from descend.tasks import Classify


@recipe
def page(lr: float = 0.1, batch: int = 64, epochs: int = 30, rho: float = 0.1) -> Experiment:
    """Read digits with weights that bear being shaken."""
    data = datasets.digits()
    task = Classify(MLP(64, 64, out=10), SGD(lr, momentum=0.9, schedule=Cosine(), rule=SharpnessAware(rho)))
    return Experiment(task=task, data=data, batch=batch, epochs=epochs)


def score(task: Classify) -> float:
    return evaluate(task, datasets.digits().test).scores["accuracy"]

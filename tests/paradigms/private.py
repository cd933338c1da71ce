"""No sample moves the network far, and noise hides what is left of it (Abadi et al. 2016): a rule, no new task."""

from descend.data import datasets
from descend.engine import Experiment, evaluate, recipe
from descend.models import MLP
from descend.optim import SGD, PerSample
from descend.tasks import Classify


@recipe
def page(lr: float = 1.0, batch: int = 128, epochs: int = 30, clip: float = 1.0, noise: float = 1.0) -> Experiment:
    """Read digits by clipped, noisy steps."""
    data = datasets.digits()
    task = Classify(MLP(64, 64, out=10), SGD(lr, rule=PerSample(clip, noise)))
    return Experiment(task=task, data=data, batch=batch, epochs=epochs)


def score(task: Classify) -> float:
    return evaluate(task, datasets.digits().test).scores["accuracy"]

"""The smallest example: data, a network, a task, a fit, a score."""

from descend.data import Loader, datasets
from descend.engine import evaluate, fit
from descend.models import MLP
from descend.optim import AdamW, Cosine
from descend.tasks import Classify

data = datasets.digits()
task = Classify(MLP(data.features, 128, 64, out=data.classes), AdamW(1e-3, schedule=Cosine()))
fit(task, Loader(data.train, batch=128), steps=400, valid=data.valid)
print(f"accuracy {evaluate(task, data.test).scores['accuracy']:.3f}")

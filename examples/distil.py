"""A way of learning of one's own: a small network learns what a large one answers."""

from torch import nn

from descend.data import Batch, Loader, datasets
from descend.engine import Descent, Task, evaluate, fit
from descend.functional import Mean
from descend.losses import kl
from descend.models import MLP
from descend.optim import AdamW, Optimizer
from descend.tasks import Classify


class Distil(Task):
    """The student's probabilities follow the teacher's (Hinton et al. 2015)."""

    def __init__(self, student: nn.Module, teacher: nn.Module, optimizer: Optimizer):
        super().__init__()
        self.student, self.teacher, self.optimizer = student, teacher, optimizer
        self.descent = Descent(student, optimizer)  # moves the student, and nothing else

    def loss(self, batch: Batch) -> Mean:
        return kl(self.student(batch["x"]), self.teacher(batch["x"]).detach().softmax(1))


data = datasets.digits()
teacher = Classify(MLP(data.features, 256, 128, out=data.classes), AdamW(3e-3))
fit(teacher, Loader(data.train, batch=128), steps=300)
student = MLP(data.features, 16, out=data.classes)
fit(Distil(student, teacher.model, AdamW(1e-2)), Loader(data.train, batch=128), steps=300)
for name, network in (("teacher", teacher.model), ("student", student)):
    found = evaluate(Classify(network, AdamW()), data.test).scores["accuracy"]
    print(f"{name} {found:.3f} with {sum(p.numel() for p in network.parameters()):,} parameters")

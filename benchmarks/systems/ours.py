"""descend as it is: float32, not compiled; all else it chooses by itself."""

from __future__ import annotations

from typing import Any

from workloads import LR, Meter, Workload

import descend.engine as engine
from descend.data import Batch, Loader, Tensors
from descend.functional import Mean
from descend.losses import cross_entropy
from descend.optim import AdamW


class Learn(engine.Task):
    def __init__(self, model: Any, optimizer: AdamW):
        super().__init__()
        self.model, self.optimizer = model, optimizer
        self.descent = engine.Descent(model, optimizer)

    def loss(self, batch: Batch) -> Mean:
        return cross_entropy(self.model(batch["x"]), batch["target"])


class Metered(engine.Observer):
    def __init__(self, meter: Meter):
        self.meter = meter

    def after(self, moment: engine.Moment) -> None:
        if self.meter.tick():
            raise engine.Stop("measured")


def measure(workload: Workload, device: str = "cpu", compute: engine.Compute | None = None) -> dict[str, Any]:
    meter = Meter(workload.batch, device)
    x, target = workload.data()
    task = Learn(workload.model(), AdamW(LR, weight_decay=0.0))
    fitted = engine.fit(
        task,
        Loader(Tensors(x=x, target=target), workload.batch),
        steps=1_000_000,  # a long run; it is stopped when enough was seen
        compute=compute or engine.Compute(device, "float32", compile=False, graph=False),
        observers=[Metered(meter)],
    )
    shares = {name: round(fitted.seconds[name] / fitted.working, 3) for name in engine.STEP}
    return {**meter.row(), "precision": fitted.compute.precision, "notes": fitted.notes, "shares": shares}

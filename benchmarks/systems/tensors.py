"""A loop by hand over tensors, compiled: what an expert writes."""

import torch
from torch.nn import functional
from torch.optim import AdamW
from workloads import LR, Meter, Workload


def measure(workload: Workload, device: str = "cpu", compiled: bool = True) -> dict[str, float]:
    meter = Meter(workload.batch, device)
    model = workload.model().to(device)
    optimizer = AdamW(model.parameters(), LR, weight_decay=0, fused=True)
    inputs, targets = (each.to(device) for each in workload.data())

    def loss_of(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(model(x), target)

    run = torch.compile(loss_of) if compiled else loss_of
    while True:
        order = torch.randperm(len(inputs), device=device)
        for index in order[: len(order) // workload.batch * workload.batch].split(workload.batch):
            run(inputs.index_select(0, index), targets.index_select(0, index)).backward()
            optimizer.step()
            optimizer.zero_grad()
            if meter.tick():
                return meter.row()

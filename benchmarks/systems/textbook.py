"""The loop of the tutorials: a DataLoader, zero_grad, backward, step."""

from torch.nn import functional
from torch.optim import AdamW
from torch.utils.data import DataLoader, TensorDataset
from workloads import LR, Meter, Workload


def measure(workload: Workload) -> dict[str, float]:
    meter = Meter(workload.batch)
    model = workload.model()
    optimizer = AdamW(model.parameters(), LR, weight_decay=0)
    loader = DataLoader(TensorDataset(*workload.data()), workload.batch, shuffle=True, drop_last=True)
    while True:
        for x, target in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            if meter.tick():
                return meter.row()

"""The loop of the tutorials: a DataLoader, zero_grad, backward, step."""

from torch.nn import functional
from torch.optim import AdamW
from torch.utils.data import DataLoader, TensorDataset
from workloads import LR, Meter, Workload


def measure(workload: Workload, device: str = "cpu") -> dict[str, float]:
    meter = Meter(workload.batch, device)
    model = workload.model().to(device)
    optimizer = AdamW(model.parameters(), LR, weight_decay=0)
    loader = DataLoader(
        TensorDataset(*workload.data()), workload.batch, shuffle=True, drop_last=True, pin_memory=device != "cpu"
    )
    while True:
        for x, target in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x.to(device)), target.to(device))
            loss.backward()
            optimizer.step()
            if meter.tick():
                return meter.row()

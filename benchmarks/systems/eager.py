"""The loop by hand over tensors, not compiled."""

from workloads import Workload

from systems import tensors


def measure(workload: Workload, device: str = "cpu") -> dict[str, float]:
    return tensors.measure(workload, device, compiled=False)

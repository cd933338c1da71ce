"""descend with everything left open."""

from typing import Any

from workloads import Workload

from descend.engine import Compute
from systems import ours


def measure(workload: Workload, device: str = "cpu") -> dict[str, Any]:
    return ours.measure(workload, device, Compute(device))

"""descend with everything left open."""

from typing import Any

from workloads import Workload

from descend.engine import Compute
from systems import ours


def measure(workload: Workload) -> dict[str, Any]:
    return ours.measure(workload, Compute())

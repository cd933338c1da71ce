"""JAX and optax: a scan over several steps a call."""

from workloads import Workload

from peers import jax_loop


def measure(workload: Workload) -> dict[str, float]:
    return jax_loop.measure(workload, min(jax_loop.CHUNK, workload.samples // workload.batch))

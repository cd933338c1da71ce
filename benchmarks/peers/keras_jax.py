"""Keras 3 on JAX."""

import os

from workloads import Workload


def measure(workload: Workload) -> dict[str, float]:
    os.environ["KERAS_BACKEND"] = "jax"
    from peers import keras_loop

    return keras_loop.measure(workload)

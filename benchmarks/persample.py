"""What per-sample clipping costs: its step over a plain step, through the engine, on one CPU thread.

    python benchmarks/persample.py

The two kinds of step take turns, so that a busy machine slows both alike, and the ratio is of the fastest tenth's
slowest: what a step takes when nothing else runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from descend.data import Batch
from descend.engine import Descent
from descend.losses import cross_entropy
from descend.models import MLP, LeNet
from descend.optim import SGD, PerSample, Plain

ROUNDS, WARMUP = 100, 5
ALLOWED = 3.0
"""Times a plain step: what issue 2 asks for."""

CASES: list[tuple[str, Callable[[], nn.Module], tuple[int, ...], int]] = [
    ("MLP 64-128-64-10", lambda: MLP(64, 128, 64, out=10), (1, 8, 8), 128),
    ("MLP 64-128-64-10", lambda: MLP(64, 128, 64, out=10), (1, 8, 8), 256),
    ("MLP 784-128-64-10", lambda: MLP(784, 128, 64, out=10), (1, 28, 28), 128),
    ("MLP 784-128-64-10", lambda: MLP(784, 128, 64, out=10), (1, 28, 28), 512),
    ("LeNet", lambda: LeNet(), (1, 28, 28), 64),
    ("LeNet", lambda: LeNet(), (1, 28, 28), 256),
]


def seconds(make: Callable[[], nn.Module], shape: tuple[int, ...], size: int) -> tuple[float, float]:
    """Seconds of a plain step, and of a per-sample step."""
    batch = Batch(x=torch.randn(size, *shape), target=torch.randint(10, (size,)))
    steps = []
    for rule in (Plain(), PerSample(clip=1.0, noise=1.0)):
        model = make()
        descent = Descent(model, SGD(1e-3, rule=rule))
        steps.append((descent, lambda part, model=model: cross_entropy(model(part["x"]), part["target"])))
    taken: list[list[float]] = [[], []]
    for number in range(WARMUP + ROUNDS):
        for times, (descent, loss) in zip(taken, steps, strict=True):
            begin = time.perf_counter()
            descent(loss, batch)
            if number >= WARMUP:
                times.append(time.perf_counter() - begin)
    plain, clipped = (statistics.quantiles(times, n=10)[0] for times in taken)
    return plain, clipped


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'network':20} {'batch':>6} {'plain':>10} {'per sample':>11} {'ratio':>6}")
    worst = 0.0
    for name, make, shape, size in CASES:
        plain, clipped = seconds(make, shape, size)
        worst = max(worst, clipped / plain)
        print(f"{name:20} {size:6} {plain * 1e3:7.2f} ms {clipped * 1e3:8.2f} ms {clipped / plain:6.2f}")
    print(f"worst {worst:.2f}, allowed {ALLOWED:.1f}: {'held' if worst <= ALLOWED else 'NOT held'}")


if __name__ == "__main__":
    main()

"""What the engine adds to a step: its own loop against the same step written by hand, in turns, in one process.

    python benchmarks/overhead.py            # allowed: 20 µs a step

The step by hand takes the same measures: tensors in memory, a fused optimizer, held memory, a look at the loss.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from systems.ours import Learn
from torch import nn
from torch.nn import functional
from torch.optim import AdamW
from workloads import LR, WORKLOADS, Workload

from descend import optim
from descend.data import Loader, Tensors
from descend.engine import Compute, fit

ALLOWED = 20.0
"""Microseconds a step."""


def by_hand(workload: Workload, model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, steps: int) -> float:
    """Seconds of a step, the first left out."""
    optimizer = AdamW(model.parameters(), LR, weight_decay=0, fused=True)
    model.train()
    done, began = 0, 0.0
    while True:
        order = torch.randperm(len(inputs))
        for index in order.split(workload.batch):
            loss = functional.cross_entropy(model(inputs.index_select(0, index)), targets.index_select(0, index))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            loss.item()
            done += 1
            if done == 1:
                began = time.perf_counter()
            if done == steps:
                return (time.perf_counter() - began) / (steps - 1)


def by_engine(workload: Workload, model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, steps: int) -> float:
    compute = Compute("cpu", hold_memory=True).settled()
    loader = Loader(Tensors(x=inputs, target=targets), workload.batch)
    fitted = fit(Learn(model, optim.AdamW(LR, weight_decay=0.0)), loader, steps=steps, compute=compute)
    return fitted.working / (steps - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workload", choices=WORKLOADS, default="mlp")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=15)
    told = parser.parse_args()
    workload = WORKLOADS[told.workload]
    inputs, targets = workload.data()
    by_engine(workload, workload.model(), inputs, targets, told.steps)  # memory is held from here on
    hands, differences = [], []
    for _ in range(told.turns):
        hands.append(by_hand(workload, workload.model(), inputs, targets, told.steps))
        differences.append(by_engine(workload, workload.model(), inputs, targets, told.steps) - hands[-1])
    hand, more = (statistics.median(each) * 1e6 for each in (hands, differences))
    low, _, high = (each * 1e6 for each in statistics.quantiles(differences, n=4))
    print(
        f"{workload.name}: by hand {hand:,.0f} µs a step; the engine {more:+.1f} µs (quartiles {low:+.1f}, {high:+.1f})"
    )
    print(
        f"{told.turns} turns of {told.steps} steps; allowed {ALLOWED:.0f}: {'held' if more <= ALLOWED else 'not held'}"
    )


if __name__ == "__main__":
    main()

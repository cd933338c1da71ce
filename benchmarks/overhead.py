"""What the engine adds to a step: its own step and the same step written by hand, by turns, in one process.

    python benchmarks/overhead.py            # allowed: 20 µs a step

The step by hand takes the same measures: tensors in memory, a fused optimizer, held memory, a look at the loss. The two
take blocks of steps by turns, so that a slow moment of the machine hits both; the figure is the median over all pairs
of blocks of their difference, in each of several runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import torch
from systems.ours import Learn
from torch import nn
from torch.nn import functional
from torch.optim import AdamW
from workloads import LR, WORKLOADS, Workload

from descend import optim
from descend.data import Loader, Tensors
from descend.engine import Compute, Moment, Observer, fit

ALLOWED = 20.0
"""Microseconds a step."""
BLOCK = 50
"""Steps of a block: some 50 ms, so long that each finds its own code in the caches again."""
WARM = 2
"""Blocks at the beginning that are not counted."""


def by_hand(workload: Workload, model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> Iterator[None]:
    """A step at each ``next``."""
    optimizer = AdamW(model.parameters(), LR, weight_decay=0, fused=True)
    model.train()
    while True:
        order = torch.randperm(len(inputs))
        for index in order.split(workload.batch):
            loss = functional.cross_entropy(model(inputs.index_select(0, index)), targets.index_select(0, index))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            loss.item()
            yield


class ByTurns(Observer):
    """After each block of the engine's, one by hand; ``pairs`` are the seconds of a step in both."""

    def __init__(self, steps: Iterator[None]):
        self.steps = steps
        self.pairs: list[tuple[float, float]] = []
        self.left = 0.0

    def after(self, moment: Moment) -> None:
        if moment.step % BLOCK:
            return
        began = time.perf_counter()
        engine = began - self.left
        for _ in range(BLOCK):
            next(self.steps)
        self.left = time.perf_counter()
        if moment.step > WARM * BLOCK:
            self.pairs.append((engine / BLOCK, (self.left - began) / BLOCK))


def compare(workload: Workload, blocks: int) -> tuple[float, float]:
    """Medians: seconds of a step by hand, and what the engine takes more."""
    inputs, targets = workload.data()
    turns = ByTurns(by_hand(workload, workload.model(), inputs, targets))
    fit(
        Learn(workload.model(), optim.AdamW(LR, weight_decay=0.0)),
        Loader(Tensors(x=inputs, target=targets), workload.batch),
        steps=(blocks + WARM) * BLOCK,
        compute=Compute("cpu", hold_memory=True).settled(),
        observers=[turns],
    )
    return (
        statistics.median(hand for _, hand in turns.pairs),
        statistics.median(engine - hand for engine, hand in turns.pairs),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workload", choices=WORKLOADS, default="mlp")
    parser.add_argument("--blocks", type=int, default=50)
    parser.add_argument("--turns", type=int, default=5)
    told = parser.parse_args()
    runs = [compare(WORKLOADS[told.workload], told.blocks) for _ in range(told.turns)]
    hand, more = (statistics.median(each) * 1e6 for each in zip(*runs, strict=True))
    each = ", ".join(f"{difference * 1e6:+.1f}" for _, difference in runs)
    print(f"{told.workload}: by hand {hand:,.0f} µs a step; the engine {more:+.1f} µs")
    print(f"runs of {told.blocks} blocks: {each}; allowed {ALLOWED:.0f}: {'held' if more <= ALLOWED else 'not held'}")


if __name__ == "__main__":
    main()

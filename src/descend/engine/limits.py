"""What this machine can do at most, measured: the rates that a training step is held against."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from descend.engine import onednn

SIDE = 2048
"""Of the square matrices that are multiplied: large enough for the kernels, 17 GFLOP."""
COPIED = 2**26
"""Numbers copied, 256 MB: more than a cache holds."""


@dataclass(frozen=True)
class Limits:
    """Best rates over some tries.

    Attributes:
        float32, bfloat16: floating-point operations a second of a matrix product, a multiply-add being two.
        copy: bytes a second, read and written, of a copy in memory.
    """

    float32: float
    bfloat16: float
    copy: float

    def share(self, flops: float, precision: str) -> float:
        """Which part of the limit so many operations a second are."""
        return flops / (self.float32 if precision == "float32" else self.bfloat16)


def measure(device: torch.device | str = "cpu", threads: int | None = None) -> Limits:
    """Measure the limits of a device, with so many CPU threads, or those set now; float32 by MKL or oneDNN, whichever
    is faster. Takes a second."""
    device = torch.device(device)
    before, used = torch.get_num_threads(), onednn.used()
    torch.set_num_threads(threads or before)
    try:
        found = _measure(device)
        if device.type == "cpu" and onednn.use(not used):
            other = _measure(device).float32
            found = replace(found, float32=max(found.float32, other))
        return found
    finally:
        onednn.use(used)
        torch.set_num_threads(before)


def _measure(device: torch.device) -> Limits:
    rates = {}
    for kind in (torch.float32, torch.bfloat16):
        one, other = (torch.randn(SIDE, SIDE, device=device).to(kind) for _ in range(2))
        rates[kind] = 2 * SIDE**3 / _fastest(lambda one=one, other=other: one @ other, device)
    source = torch.ones(COPIED, device=device)
    target = torch.empty_like(source)
    copy = 2 * source.nbytes / _fastest(lambda: target.copy_(source), device)
    return Limits(rates[torch.float32], rates[torch.bfloat16], copy)


def _fastest(work: Callable[[], object], device: torch.device, tries: int = 5) -> float:
    """Seconds of the fastest try, after one that warms up."""
    taken = []
    for _ in range(tries + 1):
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - begin)
    return min(taken[1:])

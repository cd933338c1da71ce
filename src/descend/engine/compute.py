"""Where and how the arithmetic is done: device, precision, compilation, micro-batches, threads. Each is chosen in the
open and recorded; none changes what is computed beyond the precision's own rounding."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from descend.engine.errors import UsageError

Precision = Literal["float32", "bfloat16", "float16"]
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """How a run computes.

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"float32"``; or mixed: ``"bfloat16"`` or ``"float16"`` matrix products over float32 weights
            (Micikevicius et al. 2018), the latter with loss scaling.
        compile: compile the networks with ``torch.compile``; where that fails the run stays eager and says so.
        micro: how many micro-batches one batch is worked through in; the gradients are the full batch's.
        threads: CPU threads; None leaves torch's choice.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    compile: bool = False
    micro: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise UsageError(f"precision {self.precision!r} is not known: choose {', '.join(get_args(Precision))}")
        if self.micro < 1:
            raise UsageError(f"micro is {self.micro}: a batch is worked through in 1 or more parts")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads is {self.threads}: give 1 or more, or leave it out")

    def begin(self) -> torch.device:
        """Set the threads and return the device, or say why it cannot be had."""
        if self.threads:
            torch.set_num_threads(self.threads)
        try:
            device = torch.device(self.device)
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:
            found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
            found += ["mps"] if torch.backends.mps.is_available() else []
            why = str(error).splitlines()[0]
            raise UsageError(f"device {self.device!r} cannot be used ({why}); here are {', '.join(found)}") from None
        return device

    def autocast(self) -> AbstractContextManager:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, _DTYPES[self.precision])

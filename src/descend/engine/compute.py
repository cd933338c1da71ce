"""How the arithmetic is done: device, precision, compilation, layout, memory, threads, micro-batches.

Each can be told. What is not told is chosen before step 0 by measuring (`policy`), and recorded; nothing changes what
is computed beyond the precision's own rounding.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from descend.engine.attention import Products
from descend.engine.errors import UsageError

Precision = Literal["float32", "bfloat16", "float16"]
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """How a run computes; None leaves the choice to the engine.

    >>> fit(task, loader, steps=2000)                                               # chosen by measuring
    >>> fit(task, loader, steps=2000, compute=Compute(precision="float32"))         # of that, all but the precision
    >>> fit(task, loader, steps=2000, compute=Compute().settled())                  # nothing is tried: plain

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the first of cuda, mps, cpu that is there.
        precision: ``"float32"``; or mixed: ``"bfloat16"`` or ``"float16"`` matrix products over float32 weights
            (Micikevicius et al. 2018), the latter with loss scaling.
        compile: compile the networks with ``torch.compile``; where that fails, or computes something else, the run
            stays eager and says so.
        graph: compile a descent's loss and gradients as one graph, for batches of the form of the first; the rest, and
            where it fails as above, stays eager.
        channels_last: convolution filters lie in memory with their channels last; False leaves them as they are.
        hold_memory: freed memory stays with the process instead of going back to the system every step (glibc).
        products: attention as two batched products with a softmax between (`attention.Products`), in place of
            torch's fused kernel.
        onednn: float32 matrix products by oneDNN in place of MKL (`onednn.use`), on CPU.
        threads: CPU threads.
        micro: how many micro-batches one batch is worked through in; the gradients are the full batch's.
    """

    device: str | None = None
    precision: Precision | None = None
    compile: bool | None = None
    graph: bool | None = None
    channels_last: bool | None = None
    hold_memory: bool | None = None
    products: bool | None = None
    onednn: bool | None = None
    threads: int | None = None
    micro: int = 1

    def __post_init__(self) -> None:
        if self.precision not in (None, *get_args(Precision)):
            raise UsageError(f"precision {self.precision!r} is not known: choose {', '.join(get_args(Precision))}")
        if self.micro < 1:
            raise UsageError(f"micro is {self.micro}: a batch is worked through in 1 or more parts")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads is {self.threads}: give 1 or more, or leave it out")

    def settled(self) -> Compute:
        """The same with the plain choice wherever none was made."""
        return replace(
            self,
            device=self.device or _device(),
            precision=self.precision or "float32",
            compile=bool(self.compile),
            graph=bool(self.graph),
            channels_last=bool(self.channels_last),
            hold_memory=bool(self.hold_memory),
            products=bool(self.products),
            onednn=bool(self.onednn),
            threads=self.threads or torch.get_num_threads(),
        )

    def begin(self) -> torch.device:
        """The device, or why it cannot be had."""
        name = self.device or _device()
        try:
            device = torch.device(name)
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:
            found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
            found += ["mps"] if torch.backends.mps.is_available() else []
            why = str(error).splitlines()[0]
            raise UsageError(f"device {name!r} cannot be used ({why}); here are {', '.join(found)}") from None
        return device

    @property
    def dtype(self) -> torch.dtype | None:
        """Of matrix products where it is not float32."""
        return _DTYPES.get(self.precision or "float32")

    @property
    def device_type(self) -> str:
        """``"cpu"``, ``"cuda"`` or ``"mps"``."""
        return torch.device(self.device or _device()).type

    def autocast(self) -> AbstractContextManager:
        return nullcontext() if self.dtype is None else torch.autocast(self.device_type, self.dtype)

    def attention(self) -> AbstractContextManager:
        return Products() if self.products else nullcontext()


def _device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

"""Forward and backward passes over the parts of one global batch.

The batch is worked through whole, in micro-batches, by several ranks, or sample by sample; the gradient is always of

    L = Σ_t w_t · (Σ_parts total_t) / (Σ_parts count_t)

for the loss's terms t, the counts being summed over all parts and ranks before the first backward pass.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from descend.data import Batch
from descend.engine.compute import Compute
from descend.engine.errors import Diverged
from descend.engine.ranks import Ranks
from descend.functional import Mean, keyed
from descend.functional.persample import clipped_gradients

Metrics = dict[str, Tensor]
Loss = Callable[[Batch], "Mean | dict[str, Mean]"]

_NOISE = 0x6E6F697365
"""Keys a rule's own draws apart from dropout's."""


@dataclass
class Clock:
    """Where the run is. ``progress`` goes from 0 towards 1.

    ``spent`` are the seconds of the step at hand that went into its parts; on a GPU, forward and optimizer are the
    asking for them alone, and backward is also the waiting. Where loss and gradients are one compiled graph, all of it
    counts as forward.
    """

    seed: int = 0
    step: int = 0
    steps: int = 1
    spent: dict[str, float] = field(default_factory=lambda: {"forward": 0.0, "backward": 0.0, "optimizer": 0.0})

    @property
    def progress(self) -> float:
        return min(self.step / self.steps, 1.0)

    def spending(self, part: str) -> Span:
        """What is done inside is time of this part."""
        return Span(self.spent, part)


class Span:
    """A context that adds the time it was open; a class, because a generator costs a small step two microseconds."""

    __slots__ = ("begin", "part", "spent")

    def __init__(self, spent: dict[str, float], part: str):
        self.spent, self.part = spent, part

    def __enter__(self) -> None:
        self.begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.spent[self.part] += time.perf_counter() - self.begin


@runtime_checkable
class Graph(Protocol):
    """Loss and gradients at once, for the loss and the batches that it takes."""

    def takes(self, loss: Loss, batch: Batch) -> bool: ...

    def __call__(
        self, loss: Loss, batch: Batch, parameters: list[nn.Parameter]
    ) -> tuple[list[Tensor | None], Metrics] | None: ...


@dataclass
class LossScale:
    """Dynamic loss scaling for float16 (Micikevicius et al. 2018, section 3.2): halved when a gradient overflows,
    doubled after 2,000 clean steps."""

    scale: float = 2.0**15
    clean: int = 0

    def follow(self, finite: bool) -> None:
        self.clean = self.clean + 1 if finite else 0
        if not finite:
            self.scale /= 2
        elif self.clean % 2000 == 0:
            self.scale *= 2


class Passes:
    """Forward and backward passes over the parts of one global batch, as often as a gradient rule asks for them."""

    def __init__(
        self,
        loss: Loss,
        batch: Batch,
        parameters: list[nn.Parameter],
        roots: Mapping[str, nn.Module],
        compute: Compute,
        ranks: Ranks,
        clock: Clock,
        scale: LossScale | None,
        graph: Graph | None = None,
        alone: bool = False,
    ):
        self.parameters = parameters
        self.compute, self.ranks, self.clock, self.scale, self.graph = compute, ranks, clock, scale, graph
        self._roots = list(roots.values())
        # Only what this descent owns gets a gradient: a generator's loss runs through the critic and leaves it alone.
        # Where there is nothing else, torch need not be told, which takes a small network's step 20 µs more.
        self._inputs = None if alone else parameters
        self._loss = loss
        self._batch = batch
        self._parts = batch.split(compute.micro) if compute.micro > 1 else [batch]
        self._split = len(self._parts) > 1 or ranks.size > 1
        # One number drawn from the step's own generator keys every part, so that a part can be computed twice.
        self._key = int(torch.randint(1 << 62, ()).item()) if len(self._parts) > 1 else 0

    @property
    def generator(self) -> torch.Generator:
        """For what a rule draws itself (noise): keyed by (seed, step), the same on every rank."""
        return keyed.generator(self.clock.seed, self.clock.step, _NOISE, device=self.parameters[0].device)

    def gradient(self) -> tuple[list[Tensor | None], Metrics]:
        """The gradient of the global loss at the parameters' present values, and the loss by name."""
        graph = None if self._split or self.scale is not None else self.graph
        if graph is not None and graph.takes(self._loss, self._batch):
            with self.clock.spending("forward"):
                found = graph(self._loss, self._batch, self.parameters)
            if found is not None:
                self._check(self._number(found[1]["loss"]))
                return found
        for parameter in self.parameters:
            parameter.grad = None
        if self._split:
            metrics = self._accumulate()
            self._check(self._number(metrics["loss"]))
        else:
            result, total = self._forward(self._batch)
            value = total.unguarded()
            self._backward(value)
            number = self._number(value)
            if math.isnan(number):
                value = total.value()
                number = self._number(value)
            metrics = metrics_of(result, value)
            self._check(number)
        gradients = [parameter.grad for parameter in self.parameters]
        if self.scale is not None:
            torch._foreach_mul_([g for g in gradients if g is not None], 1 / self.scale.scale)
        return gradients, metrics

    def per_sample(self, clip: Callable[[Tensor], Tensor]) -> tuple[list[Tensor], int, Metrics]:
        """Σ_i clip(‖g_i‖) · g_i over all samples of the global batch, how many they are, and the mean loss."""
        if self.scale is not None:
            raise ValueError("per-sample clipping needs float32 or bfloat16: a loss scale would scale the norms too")
        self._refuse_batch_norm("per-sample gradients")
        sums, total = [torch.zeros_like(p) for p in self.parameters], self.parameters[0].new_zeros(())
        with self.compute.autocast(), self.clock.spending("backward"):
            for number, part in enumerate(self._parts):
                self._reseed(number)
                own, _, loss = clipped_gradients(self._value, self._roots, self.parameters, part, clip)
                torch._foreach_add_(sums, own)
                total += loss
        count = torch.tensor(float(len(self._batch)), device=total.device)
        *sums, total, count = self.ranks.sum([*sums, total, count])
        loss = total / count
        self._check(self._number(loss))
        return sums, int(count), {"loss": loss}

    def _value(self, batch: Batch) -> Mean:
        return whole(self._loss(batch))

    def _forward(self, part: Batch) -> tuple[Mean | Mapping[str, Mean], Mean]:
        with self.compute.autocast(), self.compute.attention(), self.clock.spending("forward"):
            result = self._loss(part)
        return result, whole(result)

    def _backward(self, value: Tensor) -> None:
        scale = self.scale
        with self.clock.spending("backward"):
            (value if scale is None else value * scale.scale).backward(inputs=self._inputs)

    def _accumulate(self) -> Metrics:
        """Counts first, then one backward a part, then gradients summed over ranks."""
        self._refuse_batch_norm("a split batch")
        ranks = self.ranks
        self._reseed(0)
        result, mean = self._forward(self._parts[0])
        means = {"loss": result} if isinstance(result, Mean) else result
        if mean.coupled:
            raise ValueError(
                "this loss couples the samples of a batch, so parts or ranks would not give the same numbers: "
                "train it with micro=1 on one rank, or in a form that averages over samples"
            )
        sizes = [len(one.terms) for one in means.values()]
        counts = ranks.sum([mean.counts + self._counts_of_the_rest()])[0]
        totals = mean.totals
        self._backward(mean.value(counts))
        for number, part in enumerate(self._parts[1:], start=1):
            self._reseed(number)
            _, mean = self._forward(part)
            self._backward(mean.value(counts))
            totals = totals + mean.totals
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        *gradients, totals = ranks.sum([*gradients, totals])
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        averages = totals / torch.where(counts == 0, 1.0, counts)
        names = [*means] if len(means) > 1 else []
        metrics = {name: part.sum() for name, part in zip(names, averages.split(sizes), strict=False)}
        return {**metrics, "loss": averages.sum()}

    def _counts_of_the_rest(self) -> Tensor | float:
        """How much the parts after the first one count. The terms have counts of their own, so they must be known
        before the first backward: a forward pass without gradients, whose buffers are put back."""
        if len(self._parts) == 1:
            return 0.0
        buffers = [b for root in self._roots for b in root.buffers()]
        kept = [b.clone() for b in buffers]
        counts: Tensor | float = 0.0
        with torch.no_grad():
            for number, part in enumerate(self._parts[1:], start=1):
                self._reseed(number)
                counts = self._forward(part)[1].counts + counts
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)
        return counts

    def _reseed(self, part: int) -> None:
        if len(self._parts) > 1:
            keyed.reseed(self._key, part)

    def _refuse_batch_norm(self, what: str) -> None:
        for root in self._roots:
            for name, module in root.named_modules():
                if isinstance(module, _BatchNorm) and module.training and not isinstance(module, nn.SyncBatchNorm):
                    raise ValueError(
                        f"{name or 'the module'} is a {type(module).__name__}, which couples the samples of a batch: "
                        f"{what} would change its statistics. Use GroupNorm, or one part on one rank (micro=1)"
                    )

    def _number(self, loss: Tensor) -> float:
        """On a GPU, this waits for the passes, so their time is counted here."""
        with self.clock.spending("backward"):
            return loss.item()

    def _check(self, value: float) -> None:
        if not math.isfinite(value):
            raise Diverged(f"the loss became {value} in step {self.clock.step}", self._rerun)

    def _rerun(self) -> None:
        with torch.no_grad():
            for number, part in enumerate(self._parts):
                self._reseed(number)
                self._forward(part)


def whole(result: Any) -> Mean:
    """What a loss function returned, as one Mean of all its terms."""
    if isinstance(result, Mean):
        return result
    if isinstance(result, Mapping) and result and all(isinstance(mean, Mean) for mean in result.values()):
        first, *rest = result.values()
        return sum(rest, first)
    raise TypeError(f"a loss returns a Mean, or a dictionary of them, so that its count is known; got {result!r}")


def metrics_of(result: Mean | Mapping[str, Mean], value: Tensor) -> Metrics:
    """What a loss function returned, as numbers by name: ``loss``, their sum, and each where there are several."""
    parts = {} if isinstance(result, Mean) or len(result) == 1 else result
    return {**{name: mean.value().detach() for name, mean in parts.items()}, "loss": value.detach()}

"""One optimizer and the modules that it alone may move.

A descent is given the loss *function* and the batch, so that it can decide how often and on which parts the loss is
computed: once, over micro-batches, over ranks, twice (sharpness-aware), or sample by sample. Whatever it does, the
result is the gradient of the global batch's loss

    L = Σ_t w_t · (Σ_parts total_t) / (Σ_parts count_t),

followed by one step of the optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from descend.data import Batch
from descend.engine.compute import Compute
from descend.engine.errors import Diverged
from descend.engine.ranks import Ranks
from descend.functional import Mean, keyed
from descend.functional.persample import clipped_gradients
from descend.optim import Optimizer, named

Metrics = dict[str, Tensor]
Loss = Callable[[Batch], "Mean | dict[str, Mean]"]

_NOISE = 0x6E6F697365
"""Keys a rule's own draws apart from dropout's."""


@dataclass
class Clock:
    """Where the run is. ``progress`` goes from 0 towards 1."""

    seed: int = 0
    step: int = 0
    steps: int = 1

    @property
    def progress(self) -> float:
        return min(self.step / self.steps, 1.0)


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


@dataclass
class _Moving:
    """What a descent remembers once it has begun: names, parameters, moments, averages."""

    names: list[str]
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    buffers: list[Tensor]
    average: list[Tensor] | None
    steps: int = 0
    scores: list[float] = field(default_factory=list)
    scale: LossScale | None = None


class Descent:
    """Moves the parameters of ``modules`` down the loss it is given.

    >>> self.descent = Descent(self.model, AdamW(1e-3, schedule=Cosine()))
    >>> metrics = self.descent(self.loss, batch)            # {"loss": …}, detached, of the global batch

    Nothing is built before the first step: a task loaded to predict holds no moments.

    Args:
        modules: a module, or several.
        optimizer: a description: ``AdamW(lr, schedule=…, clip=…, rule=…, average=…)``.
    """

    def __init__(self, modules: nn.Module | Sequence[nn.Module], optimizer: Optimizer):
        self.modules = modules
        self.optimizer = optimizer
        self.compute = Compute()
        self.ranks = Ranks()
        self.clock = Clock()
        self._moving: _Moving | None = None

    def attach(self, compute: Compute, ranks: Ranks, clock: Clock) -> None:
        """Told by the engine how the run computes, with whom, and what time it is."""
        self.compute, self.ranks, self.clock = compute, ranks, clock

    def __call__(self, loss: Loss, batch: Batch) -> Metrics:
        """One update. ``loss`` returns a `Mean`, or a dictionary of them whose sum is descended.

        Returns:
            The global loss before the step, detached: ``loss``, and each entry of the dictionary by its name.

        Raises:
            Diverged: the loss is NaN or infinite; nothing was moved.
            ValueError: the batch must be split, and the loss or a module couples its samples.
        """
        moving = self.moving
        passes = Passes(self, moving, loss, batch)
        gradients, metrics = self.optimizer.rule(passes)
        self._step(moving, gradients)
        return metrics

    def apply(self, gradients: Mapping[str, Tensor]) -> None:
        """Clip the given gradients (by parameter name) and step once; parameters that are not named stay."""
        moving = self.moving
        unknown = set(gradients) - set(moving.names)
        if unknown:
            raise KeyError(f"{', '.join(sorted(unknown))}: not among this descent's parameters {', '.join(moving.names)}")
        self._step(moving, [gradients.get(name) for name in moving.names])

    @property
    def lr(self) -> float:
        """The learning rate of the step at hand."""
        scores = self._moving.scores if self._moving else []
        return self.optimizer.lr * self.optimizer.schedule(self.clock.progress, scores)

    @property
    def steps(self) -> int:
        """How many updates it has made."""
        return self._moving.steps if self._moving else 0

    @property
    def moving(self) -> _Moving:
        if self._moving is None:
            self._moving = self._begin()
        return self._moving

    def roots(self) -> dict[str, nn.Module]:
        if isinstance(self.modules, nn.Module):
            return {"": self.modules}
        return {str(i): module for i, module in enumerate(self.modules)}

    def watch(self, cost: float) -> None:
        """Told the watched score after each evaluation, lower being better, for schedules that wait for a plateau."""
        self.moving.scores.append(cost)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the modules hold their averaged weights, where this descent keeps any."""
        moving = self._moving
        if moving is None or moving.average is None:
            yield
            return
        _exchange(moving)
        try:
            yield
        finally:
            _exchange(moving)

    def reset(self) -> None:
        """Forget moments, averages and scores, as before the first step."""
        self._moving = None

    def state_dict(self) -> dict[str, Any]:
        moving = self._moving
        if moving is None:
            return {}
        saved = moving.optimizer.state_dict()
        order = [id(p) for group in moving.optimizer.param_groups for p in group["params"]]
        name_of = {id(p): name for name, p in zip(moving.names, moving.parameters, strict=True)}
        state: dict[str, Any] = {
            "steps": moving.steps,
            "scores": list(moving.scores),
            "optimizer": {name_of[order[i]]: values for i, values in saved["state"].items()},
        }
        if moving.average is not None:
            state["average"] = dict(zip(_keys(moving), moving.average, strict=True))
        if moving.scale is not None:
            state["scale"] = [moving.scale.scale, moving.scale.clean]
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if not state:
            self._moving = None
            return
        moving = self._moving = self._begin()
        name_of = {id(p): name for name, p in zip(moving.names, moving.parameters, strict=True)}
        order = [name_of[id(p)] for group in moving.optimizer.param_groups for p in group["params"]]
        saved = moving.optimizer.state_dict()
        saved["state"] = {i: dict(state["optimizer"][n]) for i, n in enumerate(order) if n in state["optimizer"]}
        moving.optimizer.load_state_dict(saved)
        moving.steps, moving.scores = state["steps"], list(state["scores"])
        if moving.average is not None:
            for key, tensor in zip(_keys(moving), moving.average, strict=True):
                tensor.copy_(state["average"][key])
        if moving.scale is not None and "scale" in state:
            moving.scale = LossScale(*state["scale"])

    def _begin(self) -> _Moving:
        own = named(self.roots())
        if not own:
            raise ValueError("this descent has nothing to move: its modules have no parameter that requires a gradient")
        parameters = [one.parameter for one in own]
        buffers = [b for root in self.roots().values() for b in root.buffers() if b.is_floating_point() and b.dim() > 0]
        average = None
        if self.optimizer.average is not None:
            average = [t.detach().clone() for t in [*parameters, *buffers]]
        scale = LossScale() if self.compute.precision == "float16" else None
        names = [one.name for one in own]
        return _Moving(names, parameters, self.optimizer.build(own), buffers, average, scale=scale)

    def _step(self, moving: _Moving, gradients: Sequence[Tensor | None]) -> None:
        for parameter, gradient in zip(moving.parameters, gradients, strict=True):
            parameter.grad = gradient
        if moving.scale is not None:
            finite = all(bool(g.isfinite().all()) for g in gradients if g is not None)
            moving.scale.follow(finite)
            if not finite:
                moving.steps += 1
                return
        if self.optimizer.clip is not None:
            self.optimizer.clip([g for g in gradients if g is not None])
        factor = self.optimizer.schedule(self.clock.progress, moving.scores)
        for group in moving.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        moving.optimizer.step()
        for parameter in moving.parameters:
            parameter.grad = None
        moving.steps += 1
        if moving.average is not None:
            self.optimizer.average.update(moving.average, [*moving.parameters, *moving.buffers], moving.steps)


class Passes:
    """Forward and backward passes over the parts of one global batch, as often as a gradient rule asks for them."""

    def __init__(self, descent: Descent, moving: _Moving, loss: Loss, batch: Batch):
        self.descent = descent
        self.moving = moving
        self.parameters: list[nn.Parameter] = moving.parameters
        self._loss = loss
        self._batch = batch
        self._parts = batch.split(descent.compute.micro) if descent.compute.micro > 1 else [batch]
        self._split = len(self._parts) > 1 or descent.ranks.size > 1
        # One number drawn from the step's own generator keys every part, so that a part can be computed twice.
        self._key = int(torch.randint(1 << 62, ()).item()) if len(self._parts) > 1 else 0

    @property
    def generator(self) -> torch.Generator:
        """For what a rule draws itself (noise): keyed by (seed, step), the same on every rank."""
        clock = self.descent.clock
        return keyed.generator(clock.seed, clock.step, _NOISE, device=self.parameters[0].device)

    def gradient(self) -> tuple[list[Tensor | None], Metrics]:
        """The gradient of the global loss at the parameters' present values, and the loss by name."""
        for parameter in self.parameters:
            parameter.grad = None
        if self._split:
            metrics = self._accumulate()
        else:
            means, total = self._forward(self._batch)
            value = total.value()
            self._backward(value)
            metrics = {name: mean.value().detach() for name, mean in means.items()} if len(means) > 1 else {}
            metrics["loss"] = value.detach()
        self._check(metrics["loss"])
        gradients = [parameter.grad for parameter in self.parameters]
        if self.moving.scale is not None:
            torch._foreach_mul_([g for g in gradients if g is not None], 1 / self.moving.scale.scale)
        return gradients, metrics

    def per_sample(self, clip: Callable[[Tensor], Tensor]) -> tuple[list[Tensor], int, Metrics]:
        """Σ_i clip(‖g_i‖) · g_i over all samples of the global batch, how many they are, and the mean loss."""
        if self.moving.scale is not None:
            raise ValueError("per-sample clipping needs float32 or bfloat16: a loss scale would scale the norms too")
        self._refuse_batch_norm("per-sample gradients")
        sums, total = [torch.zeros_like(p) for p in self.parameters], self.parameters[0].new_zeros(())
        with self.descent.compute.autocast():
            for number, part in enumerate(self._parts):
                self._reseed(number)
                own, _, loss = clipped_gradients(self._value, self._roots, self.parameters, part, clip)
                torch._foreach_add_(sums, own)
                total += loss
        count = torch.tensor(float(len(self._batch)), device=total.device)
        *sums, total, count = self.descent.ranks.sum([*sums, total, count])
        loss = total / count
        self._check(loss)
        return sums, int(count), {"loss": loss}

    @property
    def _roots(self) -> list[nn.Module]:
        return list(self.descent.roots().values())

    def _value(self, batch: Batch) -> Mean:
        return whole(self._loss(batch))

    def _forward(self, part: Batch) -> tuple[dict[str, Mean], Mean]:
        with self.descent.compute.autocast():
            result = self._loss(part)
        if isinstance(result, Mean):
            return {"loss": result}, result
        if isinstance(result, dict) and result and all(isinstance(mean, Mean) for mean in result.values()):
            return result, whole(result)
        raise TypeError(f"a loss returns a Mean, or a dictionary of them, so that its count is known; got {result!r}")

    def _backward(self, value: Tensor) -> None:
        scale = self.moving.scale
        # Only what this descent owns gets a gradient: a generator's loss runs through the critic and leaves it alone.
        (value if scale is None else value * scale.scale).backward(inputs=self.parameters)

    def _accumulate(self) -> Metrics:
        """Counts first, then one backward a part, then gradients summed over ranks."""
        self._refuse_batch_norm("a split batch")
        ranks = self.descent.ranks
        self._reseed(0)
        means, mean = self._forward(self._parts[0])
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

    def _check(self, loss: Tensor) -> None:
        value = loss.item()
        if not math.isfinite(value):
            raise Diverged(f"the loss became {value} in step {self.descent.clock.step}", self._rerun)

    def _rerun(self) -> None:
        with torch.no_grad():
            for number, part in enumerate(self._parts):
                self._reseed(number)
                self._forward(part)


def whole(result: Mean | Mapping[str, Mean]) -> Mean:
    """What a loss function returned, as one Mean of all its terms."""
    if isinstance(result, Mean):
        return result
    first, *rest = result.values()
    return sum(rest, first)


def _keys(moving: _Moving) -> list[str]:
    return [*moving.names, *(f"buffer {i}" for i in range(len(moving.buffers)))]


def _exchange(moving: _Moving) -> None:
    """Swap live and averaged tensors by their storage: nothing is copied."""
    for live, average in zip([*moving.parameters, *moving.buffers], moving.average or [], strict=True):
        live.data, average.data = average.data, live.data

"""One optimizer and the modules that it alone may move.

A descent is given the loss *function* and the batch, so that it can decide how often and on which parts the loss is
computed (`passes`). Whatever it does, the result is the gradient of the global batch's loss, followed by one step of
the optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from descend.data import Batch
from descend.engine.compute import Compute
from descend.engine.passes import Clock, Graph, Loss, LossScale, Metrics, Passes
from descend.engine.ranks import Ranks
from descend.optim import Direct, Optimizer, faded, named


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
    direct: Direct | None = None


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
        self.alone = False
        self.graph: Graph | None = None
        self._moving: _Moving | None = None

    def attach(self, compute: Compute, ranks: Ranks, clock: Clock, alone: bool = False) -> None:
        """Told by the engine how the run computes, with whom, what time it is, and whether nothing else can learn."""
        self.compute, self.ranks, self.clock, self.alone = compute, ranks, clock, alone

    def __call__(self, loss: Loss, batch: Batch) -> Metrics:
        """One update. ``loss`` returns a `Mean`, or a dictionary of them whose sum is descended.

        Returns:
            The global loss before the step, detached: ``loss``, and each entry of the dictionary by its name.

        Raises:
            Diverged: the loss is NaN or infinite; nothing was moved.
            ValueError: the batch must be split, and the loss or a module couples its samples.
        """
        moving = self.moving
        passes = Passes(
            loss,
            batch,
            moving.parameters,
            self.roots(),
            self.compute,
            self.ranks,
            self.clock,
            moving.scale,
            self.graph,
            self.alone,
        )
        gradients, metrics = self.optimizer.rule(passes)
        with self.clock.spending("optimizer"):
            self._step(moving, gradients)
        return metrics

    def apply(self, gradients: Mapping[str, Tensor]) -> None:
        """Clip the given gradients (by parameter name) and step once; parameters that are not named stay."""
        moving = self.moving
        unknown = set(gradients) - set(moving.names)
        if unknown:
            raise KeyError(
                f"{', '.join(sorted(unknown))}: not among this descent's parameters {', '.join(moving.names)}"
            )
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

    def moves(self) -> bool:
        """Whether any of its parameters requires a gradient."""
        return any(parameter.requires_grad for root in self.roots().values() for parameter in root.parameters())

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
        for parameter in moving.parameters:
            for key, tensor in moving.optimizer.state[parameter].items() if parameter in moving.optimizer.state else ():
                # Files hold tensors row by row; fused kernels walk a moment in its parameter's own layout.
                if isinstance(tensor, Tensor) and tensor.shape == parameter.shape:
                    laid = torch.empty_like(parameter, dtype=tensor.dtype)
                    moving.optimizer.state[parameter][key] = laid.copy_(tensor)
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
            group["lr"] = group["base_lr"] * factor * (self.clock.progress >= group["begin"])
        if moving.direct is None or not moving.direct(gradients):
            for parameter, gradient in zip(moving.parameters, gradients, strict=True):
                parameter.grad = gradient
            with self.compute.autocast():  # a rule with products of its own computes them as the passes do
                moving.optimizer.step()
            moving.direct = moving.direct or Direct.of(moving.optimizer, moving.parameters)
        for parameter in moving.parameters:
            parameter.grad = None
        moving.steps += 1
        if moving.steps % faded.EVERY == 0:
            faded.forget(moving.optimizer)
        if moving.average is not None and self.optimizer.average is not None:
            self.optimizer.average.update(moving.average, [*moving.parameters, *moving.buffers], moving.steps)


def _keys(moving: _Moving) -> list[str]:
    return [*moving.names, *(f"buffer {i}" for i in range(len(moving.buffers)))]


def _exchange(moving: _Moving) -> None:
    """Swap live and averaged tensors by their storage: nothing is copied."""
    for live, average in zip([*moving.parameters, *moving.buffers], moving.average or [], strict=True):
        live.data, average.data = average.data, live.data

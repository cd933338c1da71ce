"""Which way of computing is fastest here: found before step 0, by trying.

Ways are tried one after the other, each on top of those kept so far. One is kept if a step taken in it agrees with the
step without it (`rehearsal`) and if it is faster by more than measuring errs; held memory, if it is not slower;
compilation, if what it saves over the remaining steps exceeds what compiling took; networks alone are compiled only
where the step as a whole cannot be. Runs too short to win anything try nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from descend.engine.compiling import captured
from descend.engine.compute import Compute
from descend.engine.errors import Diverged
from descend.engine.ranks import Ranks
from descend.engine.rehearsal import ROUNDING, Outcome, Rehearsal
from descend.engine.run import Run
from descend.engine.setting import filters

GAIN = 1.05
"""How much faster a way must be to be kept; medians of a few steps differ by less than this without a cause."""
HARMLESS = 0.98
"""The same for a way that costs nothing and whose gain a trial may miss."""
STEPS = 400
"""Fewest steps of a run in which anything is tried: a trial takes some ten."""
SECONDS = 2.0
"""Shortest rest of a run in which anything is tried."""
TWICE = 60.0
"""Shortest rest of a run, in seconds, in which both ways are timed twice, in turns: a shared machine has fast and slow
moments that last seconds, and one of them would decide."""
MANY = 2000
"""Fewest steps of such a rest: turns are ten steps more for each way."""
COMPILING = 120.0
"""Shortest rest of a run, in seconds, in which compilation is tried unasked: it takes 5 to 40, and saves a few percent
where it saves anything."""
TENSOR = 5.0
"""Seconds of rest for each parameter tensor that compilation must have before it besides: deep networks take half a
second a tensor, and win a tenth of the rest."""


_NAMES = {"compile": "torch.compile", "graph": "whole-step graph"}


@dataclass(frozen=True)
class Way:
    """One choice of a `Compute`, or several that belong together.

    Attributes:
        changes: fields of `Compute` and their values, tried where all of them were left open.
        worth: whether it can pay for this step, in the way kept so far.
        least: shortest rest of a run, in seconds, in which it is tried.
        each: the same for each parameter tensor.
        gain: how much faster it must be to be kept.
    """

    changes: Mapping[str, Any]
    worth: Callable[[Rehearsal, Compute], bool]
    least: float = SECONDS
    each: float = 0.0
    gain: float = GAIN

    @property
    def compiles(self) -> bool:
        return not _NAMES.keys().isdisjoint(self.changes)

    def __str__(self) -> str:
        names = (_NAMES.get(name, name + f" {value}" * (value is not True)) for name, value in self.changes.items())
        return " with ".join(names)


def _on_cpu(rehearsal: Rehearsal, compute: Compute) -> bool:
    return compute.device == "cpu"


def _convolves(rehearsal: Rehearsal, compute: Compute) -> bool:
    """Whether there is a filter whose layout could change."""
    return any(not weight.is_contiguous(memory_format=torch.channels_last) for weight in filters(rehearsal.task))


def _has_bfloat16(rehearsal: Rehearsal, compute: Compute) -> bool:
    """Whether the step is still in float32, on a device that is fast in bfloat16."""
    if compute.precision != "float32":
        return False
    if str(compute.device).startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return compute.device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _attends(rehearsal: Rehearsal, compute: Compute) -> bool:
    return compute.device == "cpu" and rehearsal.attends


def _attends_in_float32(rehearsal: Rehearsal, compute: Compute) -> bool:
    return _has_bfloat16(rehearsal, compute) and _attends(rehearsal, compute)


def _captured_in_float32(rehearsal: Rehearsal, compute: Compute) -> bool:
    return bool(compute.graph) and _has_bfloat16(rehearsal, compute)


WAYS = (
    # Whether freed memory goes back, to be fetched again page by page, changes with what lies at the heap's end: a
    # trial of some steps may see none of it where a later hour is all of it.
    Way({"hold_memory": True}, _on_cpu, gain=HARMLESS),
    Way({"threads": 1}, lambda rehearsal, compute: compute.device == "cpu" and (compute.threads or 1) > 1),
    Way({"channels_last": True}, _convolves),
    Way({"onednn": True}, _on_cpu),
    Way({"precision": "bfloat16"}, _has_bfloat16),
    Way({"products": True}, _attends),
    # On CPU, torch's attention is so slow in bfloat16 that only both together may gain.
    Way({"precision": "bfloat16", "products": True}, _attends_in_float32),
    Way({"graph": True}, lambda rehearsal, compute: compute.precision != "float16", COMPILING, TENSOR),
    # Casts cost a small network more than bfloat16 saves, until a graph fuses them.
    Way({"precision": "bfloat16"}, _captured_in_float32, COMPILING, TENSOR),
    Way({"compile": True}, lambda rehearsal, compute: not compute.graph, COMPILING, TENSOR),
)


def choose(
    asked: Compute,
    rehearsal: Rehearsal,
    install: Callable[[Compute], None],
    steps: int,
    ranks: Ranks,
) -> tuple[Compute, list[str]]:
    """Settle what was not told, and check what was told to be compiled.

    Args:
        asked: by the user; it is installed, but for compilation.
        rehearsal: of step 0.
        install: makes task and process compute in a way.
        steps: that the run has before it.

    Returns:
        The choice, installed, and one line for each way that was tried.
    """
    compute = replace(asked.settled(), compile=False, graph=False)
    told = [way for way in WAYS if way.compiles and all(getattr(asked, name) for name in way.changes)]
    ways = [way for way in WAYS if all(getattr(asked, name) is None for name in way.changes)]
    if not told and (steps < STEPS or not ways):
        return compute, []
    try:
        search = _Search(compute, rehearsal, install, steps, ranks)
    except Diverged:  # the run's own first step will say so
        return compute, []
    for way in ways if steps >= STEPS else []:
        if way.worth(rehearsal, search.compute):
            search.attempt(way)
    for way in told:
        search.oblige(way)
    return search.compute, search.notes


def take_up(compute: Compute, rehearsal: Rehearsal, install: Callable[[Compute], None]) -> list[str]:
    """Compute as was chosen before; where that cannot be compiled here, without, and one line says so."""
    install(compute)
    try:
        rehearsal.outcome()
    except Diverged:  # the run's own step will say so
        return []
    except Exception as error:  # another machine's compiler, or none
        install(replace(compute, compile=False, graph=False))
        return [f"compiled before, eager from here on ({_short(error)})"]
    return []


def told(asked: Compute, run: Run | None) -> Compute:
    """What was asked; the rest as the run has chosen, where it has."""
    if not chosen(run):
        return asked
    written = run.description["compute"]  # type: ignore[union-attr]
    open_ = [one.name for one in fields(Compute) if getattr(asked, one.name) is None and one.name in written]
    return replace(asked, **{name: written[name] for name in open_})


def chosen(run: Run | None) -> bool:
    """Whether the run has made its choices."""
    return run is not None and bool(run.description.get("compute", {}).get("chosen"))


class _Search:
    """The way kept so far, what a step gives in it, and what it takes."""

    def __init__(
        self,
        compute: Compute,
        rehearsal: Rehearsal,
        install: Callable[[Compute], None],
        steps: int,
        ranks: Ranks,
    ):
        self.compute, self.rehearsal, self.install, self.steps, self.ranks = compute, rehearsal, install, steps, ranks
        self.notes: list[str] = []
        self.reference = rehearsal.outcome()
        self.nearby: dict[str, Outcome] = {}
        self.compiled_in_vain = False
        self.seconds = self._seconds()

    def attempt(self, way: Way) -> None:
        """Keep the way if it is right and pays."""
        tensors = sum(1 for _ in self.rehearsal.task.parameters())
        if way.compiles and self.compiled_in_vain:  # a part of a step does not gain where the whole did not
            return
        if self.seconds * self.steps < max(way.least, way.each * tensors):
            return
        begin = time.perf_counter()
        trial, outcome, wrong = self._try(way)
        cost = self._mean(time.perf_counter() - begin) if way.compiles or trial.graph else 0.0
        if wrong:
            self._back(f"{way}: refused ({wrong})")
            return
        try:
            found = self._seconds()
            if self.steps >= MANY and self.seconds * self.steps >= TWICE:
                found = min(found, self._turns(trial))
        except Exception as error:  # some hundred steps by one batch may diverge, or meet what cannot be compiled
            self._back(f"{way}: refused ({_short(error)})")
            return
        saved = (self.seconds - found) * self.steps
        speed = f"{self.seconds / found:.2f} times as fast, {self.seconds * 1e3:.3g} to {found * 1e3:.3g} ms a step"
        faster = self.seconds >= way.gain * found
        if faster and max(saved, 0) >= cost:
            self.compute, self.reference, self.nearby, self.seconds = trial, outcome, {}, found
            self.notes.append(f"{way}: kept ({speed})")
        else:
            self.compiled_in_vain = way.compiles
            self._back(f"{way}: left ({speed}{f'; that saves {saved:.0f} s and took {cost:.0f} s' if faster else ''})")

    def _turns(self, trial: Compute) -> float:
        """Time both ways in turns, by the least of each: whatever else the machine does only adds."""
        self.install(self.compute)
        first = self._seconds()
        self.install(trial)
        found = self._seconds()
        self.install(self.compute)
        self.seconds = min(first, self._seconds())
        self.install(trial)
        return found

    def oblige(self, way: Way) -> None:
        """Keep the way if it is right: it was asked for."""
        trial, outcome, wrong = self._try(way)
        if wrong:
            self._back(f"{way}: fell back to eager mode ({wrong})")
        else:
            self.compute, self.reference, self.nearby = trial, outcome, {}
            self.notes.append(f"{way}: compiled")

    def _try(self, way: Way) -> tuple[Compute, Outcome, str]:
        trial = replace(self.compute, **way.changes)
        outcome, precision = self.reference, trial.precision or "float32"
        try:
            if precision not in self.nearby:
                self.nearby[precision] = self.rehearsal.outcome(ROUNDING[precision])
            self.install(trial)
            outcome = self.rehearsal.outcome()
            wrong = outcome.differs(self.reference, self.nearby[precision], precision)
            if way.changes.get("graph") and not captured(self.rehearsal.task):
                wrong = wrong or "nothing was captured: batches are split, or the loss is no method"
        except Exception as error:  # whatever a compiler raises, the way before still trains
            wrong = _short(error)
        if self.ranks.most(int(bool(wrong))) and not wrong:
            wrong = "another rank refused it"
        return trial, outcome, wrong

    def _back(self, note: str) -> None:
        self.install(self.compute)
        self.notes.append(note)

    def _seconds(self) -> float:
        """Of a step. Ranks must take equally many, and decide alike."""
        return self._mean(self.rehearsal.seconds(math.inf, 3) if self.ranks.size > 1 else self.rehearsal.seconds())

    def _mean(self, seconds: float) -> float:
        return float(self.ranks.sum([torch.tensor(seconds, dtype=torch.float64)])[0]) / self.ranks.size


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

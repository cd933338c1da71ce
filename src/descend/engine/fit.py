"""The loop: ask the stream for the step's batch, let the task learn from it, look, commit.

A run is a function of (task, stream, seed, step): everything drawn in a step is keyed by it, so a run that was killed
and resumed ends with the same bits as one that never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from descend.data import Batch, Data, Stream
from descend.engine import divergence
from descend.engine.compiling import decompile
from descend.engine.compute import Compute
from descend.engine.errors import Diverged, Interrupted, Stop
from descend.engine.evaluate import Evaluation, evaluate
from descend.engine.observers.observer import Moment, Observer
from descend.engine.passes import Clock, Metrics
from descend.engine.policy import STEPS, choose, chosen, take_up, told
from descend.engine.ranks import Ranks
from descend.engine.rehearsal import Rehearsal
from descend.engine.run import Run
from descend.engine.setting import Setting
from descend.engine.signals import Signals
from descend.engine.task import Task
from descend.functional import keyed

STEP = ("data", "forward", "backward", "optimizer", "engine")
"""The parts of a step's time."""


@dataclass
class Fitted:
    """What a fit did.

    Attributes:
        step: steps done, over all processes that worked on the run.
        evaluation: the last one, if there was any.
        stopped: why an observer ended it early, or "".
        seconds: where the time went, over all processes: start (choosing how to compute, and each process's first step:
            caches, moments, compilation), data, forward, backward, optimizer, engine (the rest of a step: the loop,
            the observers), evaluate, checkpoint; and total.
        samples: seen in the time of all steps but the first.
        flops: of one step, as `Rehearsal.flops` counts them; 0 where the run was too short to ask.
        compute: how it computed: what was asked for, and what the engine chose.
        notes: what the engine tried and decided by itself, one line each.
    """

    step: int
    evaluation: Evaluation | None = None
    stopped: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    flops: float = 0.0
    compute: Compute = field(default_factory=Compute)
    notes: list[str] = field(default_factory=list)

    @property
    def working(self) -> float:
        """Seconds of all steps but the first."""
        return sum(self.seconds[name] for name in STEP)

    @property
    def flops_per_s(self) -> float:
        """Floating-point operations a second in these steps; 0 where they were not counted."""
        return self.flops * (self.step - 1) / self.working if self.working else 0.0


def fit(
    task: Task,
    stream: Stream,
    *,
    steps: int,
    seed: int = 0,
    valid: Data | None = None,
    every: int | None = None,
    log: int | None = None,
    compute: Compute | None = None,
    ranks: Ranks | None = None,
    observers: Sequence[Observer] = (),
    run: Run | None = None,
    checkpoint_seconds: float = 60.0,
) -> Fitted:
    """Train a task on a stream.

    >>> fit(task, Loader(data.train, batch=128), steps=2000, valid=data.valid)

    Args:
        steps: updates in all, those of earlier processes included.
        seed: keys the stream, dropout and everything else drawn.
        valid: scored every ``every`` steps (an epoch, if None) and at the end.
        log: steps between log points; about 200 a run if None.
        compute: device, precision, compilation, …; what it leaves open is chosen before step 0.
        ranks: the processes that share each batch.
        observers: told after every step, on rank 0.
        run: where checkpoints go; with a checkpoint in it, training goes on from there.
        checkpoint_seconds: least time between checkpoints; the last one is always committed.

    Raises:
        Diverged: a loss was NaN or infinite; the last good state is in the newest checkpoint.
        Interrupted: a signal came; the step was finished and a checkpoint committed.
    """
    compute, ranks = compute or Compute(), ranks or Ranks()
    fitting = _Fit(
        task, stream, steps, seed, valid, every, log, compute, ranks, list(observers), run, checkpoint_seconds
    )
    return fitting.go()


class _Fit:
    def __init__(
        self,
        task: Task,
        stream: Stream,
        steps: int,
        seed: int,
        valid: Data | None,
        every: int | None,
        log: int | None,
        compute: Compute,
        ranks: Ranks,
        observers: list[Observer],
        run: Run | None,
        checkpoint_seconds: float,
    ):
        if steps < 0:
            raise ValueError(f"steps is {steps}: a run has 0 or more")
        compute = told(compute, run)
        self.device = compute.begin()
        self.task = task.to(self.device)
        stream.seed = seed
        self.stream = stream.to(self.device)
        self.steps, self.seed, self.valid = steps, seed, valid.to(self.device) if valid is not None else None
        self.every = every or stream.steps_per_epoch
        self.log = log or max(1, min(stream.steps_per_epoch, steps // 200))
        self.asked, self.ranks, self.run = compute, ranks, run
        self.observers = observers if ranks.rank == 0 else []
        self.checkpoint_seconds = checkpoint_seconds
        self.clock = Clock(seed, 0, max(steps, 1))
        self.fitted = Fitted(0, seconds=dict.fromkeys(("start", *STEP, "evaluate", "checkpoint", "total"), 0.0))
        self.started = False
        self.sums: dict[str, float] = {}
        self.unread: dict[str, list[Tensor]] = {}
        self.since = 0
        self.began = self.checked = self.spent = time.perf_counter()
        self.lap_samples, self.lap_began = 0, self.began
        self.first: Batch | None = None
        self.descents = task.descents()
        self.setting = Setting(task, ranks, self.clock)
        # What changes a layout or asks for a loss scale comes before the state is restored; compiling, after.
        self.setting.install(replace(compute.settled(), compile=False, graph=False))

    def go(self) -> Fitted:
        try:
            with Signals() as signals:
                self._restore()
                self._choose()
                for observer in self.observers:
                    observer.start(self.task, self.run, self.clock.step, self.steps)
                self.task.train()
                while self.clock.step < self.steps and not self.fitted.stopped:
                    self._step()
                    code = self.ranks.most(signals.code)
                    if code:
                        self._commit()
                        raise Interrupted(code, self.clock.step)
                if self.run is not None and self.clock.step not in self.run.checkpoints.steps():
                    self._commit()
            self._spend()
            self.fitted.step = self.clock.step
            return self.fitted
        finally:
            for observer in self.observers:
                observer.finish()
            self.stream.close()
            self.setting.leave()

    def _step(self) -> None:
        step, seconds = self.clock.step, self.fitted.seconds
        aside = seconds["evaluate"] + seconds["checkpoint"]
        self.task.progress.fill_(self.clock.progress)
        self.clock.spent.update(dict.fromkeys(self.clock.spent, 0.0))
        begin = time.perf_counter()
        batch, self.first = self.first or self._batch(), None
        data = time.perf_counter() - begin
        keyed.reseed(self.seed, step, self.ranks.rank)
        before = [descent.steps for descent in self.descents.values()]
        try:
            metrics = self.task.step(batch)
        except Diverged as error:
            raise self._diverged(error, batch, before) from None
        self.stream.observe(batch, metrics)
        self.clock.step = step + 1
        self._look(metrics, len(batch))
        if self.run is not None and self.ranks.most(int(time.perf_counter() - self.checked >= self.checkpoint_seconds)):
            self._commit()
        aside = seconds["evaluate"] + seconds["checkpoint"] - aside
        self._count(data, time.perf_counter() - begin - aside, len(batch))

    def _count(self, data: float, whole: float, samples: int) -> None:
        seconds, spent = self.fitted.seconds, {"data": data, **self.clock.spent}
        if not self.started:
            seconds["start"] += whole
            self.started = True
            return
        for name, value in spent.items():
            seconds[name] += value
        seconds["engine"] += whole - sum(spent.values())
        self.fitted.samples += samples

    def _batch(self) -> Batch:
        return self.stream.batch(self.clock.step, self.ranks.rank, self.ranks.size).to(self.device)

    def _look(self, metrics: Metrics, samples: int) -> None:
        """Log, evaluate and tell the observers."""
        step = self.clock.step
        self.since += 1
        self.lap_samples += samples
        for name, value in metrics.items():
            self.unread.setdefault(name, []).append(value)
        evaluation = (
            self._evaluate() if self.valid is not None and (step % self.every == 0 or step == self.steps) else None
        )
        logged = self._logged() if step % self.log == 0 or step == self.steps or evaluation else None
        moment = Moment(
            self.task,
            self.run,
            step,
            self.steps,
            step / self.stream.steps_per_epoch,
            time.perf_counter() - self.began,
            metrics,
            logged,
            evaluation,
            self.valid,
        )
        stopped = ""
        for observer in self.observers:
            try:
                observer.after(moment)
            except Stop as stop:
                stopped = str(stop) or "stopped"
                self._say(f"stopping: {stopped}")
        if self.ranks.most(int(bool(stopped))):
            self.fitted.stopped = stopped or "stopped"

    def _evaluate(self) -> Evaluation:
        assert self.valid is not None
        found = evaluate(
            self.task,
            self.valid,
            compute=self.setting.compute,
            ranks=self.ranks,
            say=None if self.fitted.evaluation else self._say,
        )
        if self.task.goal.metric not in found.scores:
            raise ValueError(
                f"the goal is {self.task.goal.metric!r}, but {type(self.task).__name__} measures "
                f"{', '.join(found.scores)}: set `goal`, or add the metric to `metrics()`"
            )
        for descent in self.descents.values():
            descent.watch(self.task.goal.cost(found.scores[self.task.goal.metric]))
        self.fitted.seconds["evaluate"] += found.seconds
        self.lap_began += found.seconds
        self.fitted.evaluation = found
        return found

    def _logged(self) -> dict[str, float]:
        """The means since the last log point, read off the device here and nowhere else."""
        self._read()
        now = time.perf_counter()
        lr = {
            ("lr" if len(self.descents) == 1 else f"lr/{name}"): descent.lr for name, descent in self.descents.items()
        }
        line = {
            "samples_per_s": round(self.lap_samples / max(now - self.lap_began, 1e-9), 1),
            **lr,
            **{f"train/{name}": value / self.since for name, value in self.sums.items()},
        }
        self.sums, self.since, self.lap_samples, self.lap_began = {}, 0, 0, now
        return line

    def _read(self) -> None:
        """Add up what the steps since the last time returned; adding on the device would cost each of them a kernel."""
        for name, values in self.unread.items():
            # One by one, so that the sum is the same wherever a kill parts it.
            for value in torch.stack(values).tolist():
                self.sums[name] = self.sums.get(name, 0.0) + value
        self.unread = {}

    def _spend(self) -> None:
        """Bring the total up to now."""
        now = time.perf_counter()
        self.fitted.seconds["total"] += now - self.spent
        self.spent = now

    def _state(self) -> dict[str, Any]:
        self._spend()
        self._read()
        watching = {type(o).__name__: state for o in self.observers if (state := o.state_dict())}
        return {
            "step": self.clock.step,
            "stopped": self.fitted.stopped,
            "task": dict(self.task.state_dict()),
            "descents": {name: descent.state_dict() for name, descent in self.descents.items()},
            "stream": self.stream.state_dict(),
            "observers": watching,
            "log": {"sums": dict(self.sums), "since": self.since},
            "forms": self.setting.forms,
            "spent": {"seconds": dict(self.fitted.seconds), "samples": self.fitted.samples, "flops": self.fitted.flops},
        }

    def _commit(self) -> None:
        begin = time.perf_counter()
        if self.run is not None and self.ranks.rank == 0:
            self.run.checkpoints.save(self.clock.step, self._state())
        self.ranks.wait()
        self.checked = time.perf_counter()
        self.fitted.seconds["checkpoint"] += self.checked - begin

    def _restore(self) -> None:
        found = self.run.checkpoints.newest() if self.run is not None else None
        if found is None:
            return
        step, state, refused = found
        for line in refused:
            self._say(f"refused: {line}")
        self.clock.step, self.fitted.stopped = step, state["stopped"]
        self.task.load_state_dict(state["task"])
        for name, descent in self.descents.items():
            descent.load_state_dict(state["descents"][name])
        self.stream.load_state_dict(state["stream"])
        for observer in self.observers:
            if type(observer).__name__ in state["observers"]:
                observer.load_state_dict(state["observers"][type(observer).__name__])
        self.sums = {name: float(value) for name, value in state["log"]["sums"].items()}
        self.since = state["log"]["since"]
        spent = state["spent"]
        self.fitted.seconds, self.fitted.samples = dict(spent["seconds"]), spent["samples"]
        self.fitted.flops = spent.get("flops", 0.0)
        self.setting.forms = state.get("forms", {})
        if self.run is not None and self.ranks.rank == 0:
            self.run.rewind(step)

    def _choose(self) -> None:
        """Before step 0, what was left open; a run that goes on computes as it did."""
        begin = time.perf_counter()
        fresh, compute = self.clock.step == 0 and not chosen(self.run), self.asked.settled()
        if self.clock.step < self.steps and (fresh or compute.compile or compute.graph):
            # A stream that remembers is asked once a step: the batch of the trial is that of the first step.
            batch = self.first = self._batch()
            self.task.train()
            rehearsal = Rehearsal(self.task, self.seed, lambda: self.task.step(batch))
            if fresh and self.steps >= STEPS:
                with suppress(Exception):  # an operation that cannot be counted is no reason not to train
                    self.fitted.flops = rehearsal.flops()
            if fresh:
                compute, notes = choose(self.asked, rehearsal, self.setting.install, self.steps, self.ranks)
            else:
                notes = take_up(compute, rehearsal, self.setting.install)
            for note in notes:
                self._say(note)
            self.fitted.notes = notes
            # Written before step 0, so that a run killed later does not choose again.
            if fresh and self.run is not None and self.ranks.rank == 0:
                self.run.chose(asdict(compute), notes)
        self.fitted.compute = self.setting.compute
        self.fitted.seconds["start"] += time.perf_counter() - begin

    def _diverged(self, error: Diverged, batch: Batch, before: list[int]) -> Diverged:
        """Name the step and the first bad module, and commit the state if this step has not touched it."""
        decompile(self.task)
        where = divergence.find(self.task, batch, error.rerun) if error.rerun else ""
        untouched = before == [descent.steps for descent in self.descents.values()]
        kept = ""
        if self.run is not None:
            # The state counts as good only if every number in it is finite: statistics in buffers may have caught it.
            if untouched and not self.stream.state_dict() and divergence.finite(self._state()):
                self._commit()
            steps = self.run.checkpoints.steps()
            kept = f"; the last good state is checkpoint {steps[-1]:06d}" if steps else "; there is no good checkpoint"
        advice = "lower the learning rate, clip the gradients, or look at that batch"
        return Diverged(f"{error}: {where}{kept}. Try: {advice}")

    def _say(self, line: str) -> None:
        for observer in self.observers:
            observer.say(line)

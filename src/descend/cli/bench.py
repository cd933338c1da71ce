"""``descend bench``: what this machine can do at most, and how near to it a recipe's training comes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from descend.cli import pages
from descend.cli.arguments import order, parse
from descend.cli.train import Options, compute_of, help_text

if TYPE_CHECKING:
    from descend.engine import Fitted
    from descend.engine.limits import Limits


@dataclass(frozen=True)
class Benching(Options):
    seconds: Annotated[float, help_text("Of training that are looked at.")] = 10.0


@dataclass(frozen=True)
class Machine:
    device: Annotated[str, help_text("cpu, cuda, cuda:1.")] = "cpu"


def bench(words: Sequence[str]) -> int:
    """Measure the machine, and a recipe on it."""
    from descend.engine import limits

    if not words or words[0].startswith("-"):
        form = parse(Machine, words, "descend bench", "Measure this machine's limits.")
        print(_machine(limits.measure(form.device)))
        return 0
    recipe = pages.find(words[0]).load()
    told = order(recipe, Benching, words[1:], f"descend bench {words[0]}")
    run: Benching = told.run
    experiment = recipe(**told.arguments, seed=run.seed)

    from descend.engine import Moment, Observer, Stop, fit

    class Watch(Observer):
        """Ends the run when enough was seen."""

        begin = 0.0

        def after(self, moment: Moment) -> None:
            self.begin = self.begin or time.perf_counter()
            if time.perf_counter() - self.begin > run.seconds:
                raise Stop("measured")

        def say(self, line: str) -> None:
            print(line)

    stream = experiment.stream()
    length = run.steps if run.steps is not None else experiment.length(stream)
    fitted = fit(experiment.task, stream, steps=length, seed=run.seed, compute=compute_of(run), observers=[Watch()])
    measured = limits.measure(fitted.compute.device or "cpu", fitted.compute.threads)
    print(f"\n{_machine(measured)}\n\n{_recipe(fitted, measured)}")
    return 0


def _machine(found: Limits) -> str:
    return (
        f"matrix product, float32    {found.float32 / 1e9:8.0f} GFLOP/s\n"
        f"matrix product, bfloat16   {found.bfloat16 / 1e9:8.0f} GFLOP/s\n"
        f"copy in memory             {found.copy / 1e9:8.0f} GB/s"
    )


def _recipe(fitted: Fitted, found: Limits) -> str:
    from descend.engine import STEP

    spent, total = {name: fitted.seconds[name] for name in STEP}, fitted.working
    if not fitted.samples:
        return "one step only: give it more, --steps 100"
    steps = fitted.step - 1
    lines = [f"{fitted.samples / total:,.0f} samples/s, {total / steps * 1e3:.3g} ms a step"]
    lines += [f"  {name:10} {value / total:6.1%}  {value / steps * 1e6:10,.0f} µs" for name, value in spent.items()]
    if fitted.flops:
        rate, precision = fitted.flops_per_s, fitted.compute.precision or "float32"
        lines.append(
            f"{rate / 1e9:.0f} GFLOP/s in matrix products and convolutions: {found.share(rate, precision):.0%} of the "
            f"limit in {precision}"
        )
    return "\n".join(lines)

"""A recipe is a page of Python whose signature is its configuration.

    @recipe
    def digits(hidden: tuple[int, ...] = (128, 64), lr: float = 1e-3) -> Experiment:
        ...

The command line, the saved run.json, sweeps and resume are all derived from the signature.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

import torch

from descend.engine.checkpoint import digest
from descend.engine.config import build, describe
from descend.engine.errors import UsageError
from descend.engine.experiment import Experiment
from descend.functional import keyed


class Choice:
    """An argument that is given by name on the command line and is an object in Python.

    >>> def fashion(model: Annotated[Callable, Choice(mlp=mlp, lenet=LeNet, resnet20=resnet20)] = mlp): …
    """

    def __init__(self, **named: Any):
        self.named = named

    def __getitem__(self, name: str) -> Any:
        if name in self.named:
            return self.named[name]
        near = get_close_matches(name, self.named, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"{name!r} is not a choice: {hint}There are {', '.join(self.named)}")

    def name_of(self, value: Any) -> str | None:
        return next((name for name, object_ in self.named.items() if object_ is value or object_ == value), None)


@dataclass(frozen=True)
class Provenance:
    """Which page, with which arguments, made an experiment."""

    recipe: Recipe
    arguments: Mapping[str, Any]
    seed: int

    def describe(self) -> dict[str, Any]:
        """Plain data for run.json, from which `rebuild` makes the same experiment."""
        choices = self.recipe.choices
        written = {}
        for name, value in self.arguments.items():
            choice = choices.get(name)
            chosen = choice.name_of(value) if choice else None
            written[name] = chosen if chosen is not None else describe(value)
        source = self.recipe.source
        return {
            "name": self.recipe.name,
            "source": str(source),
            "sha256": digest(source),
            "arguments": written,
            "seed": self.seed,
        }


class Recipe:
    """What `recipe` makes of a page: call it for an `Experiment`.

    Attributes:
        name: the function's.
        source: the file it stands in.
        signature: of the page, without ``seed``.
        doc: its docstring.
    """

    def __init__(self, function: Callable[..., Experiment]):
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__
        self.source = Path(inspect.getsourcefile(inspect.unwrap(function)) or "").resolve()
        self.signature = inspect.signature(function)
        self.doc = inspect.cleandoc(function.__doc__ or "")
        if "seed" in self.signature.parameters:
            raise TypeError(f"{self.name} takes `seed` itself: @recipe adds it, and runs the page under it")

    @property
    def hints(self) -> dict[str, Any]:
        """The parameters' types, with their annotations."""
        return {
            name: hint for name, hint in get_type_hints(self.function, include_extras=True).items() if name != "return"
        }

    @property
    def choices(self) -> dict[str, Choice]:
        return {
            name: extra
            for name, hint in self.hints.items()
            for extra in getattr(hint, "__metadata__", ())
            if isinstance(extra, Choice)
        }

    def __call__(self, *args: Any, seed: int = 0, **kwargs: Any) -> Experiment:
        """Run the page with torch's generators at ``seed``, so that initialisation is keyed too."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        with torch.random.fork_rng():
            keyed.reseed(seed)
            experiment = self.function(*bound.args, **bound.kwargs)
        experiment.seed = seed
        experiment.provenance = Provenance(self, dict(bound.arguments), seed)
        return experiment


def recipe(function: Callable[..., Experiment]) -> Recipe:
    """Make a page a recipe: adds ``seed``, keeps the arguments for the run's record."""
    return Recipe(function)


def find_recipe(source: Path, name: str | None = None) -> Recipe:
    """The recipe in a file; ``name`` where there are several.

    Raises:
        UsageError: no such file, no recipe in it, or none of that name.
    """
    source = Path(source).resolve()
    if not source.is_file():
        raise UsageError(f"there is no recipe file {source}")
    pages = Path(__file__).resolve().parent.parent / "recipes"
    if source.parent == pages:
        module = importlib.import_module(f"descend.recipes.{source.stem}")
    else:
        spec = importlib.util.spec_from_file_location(f"descend_page_{source.stem}", source)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    found = {r.name: r for r in vars(module).values() if isinstance(r, Recipe) and r.source == source}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    what = f"no recipe {name!r}" if name else ("several recipes" if found else "no recipe")
    raise UsageError(f"{source} holds {what}; it has {', '.join(found) or 'no function under @recipe'}")


def rebuild(written: Mapping[str, Any]) -> tuple[Experiment, str]:
    """The experiment that run.json describes, and a warning where its page was changed since, else ""."""
    page = find_recipe(Path(written["source"]), written["name"])
    choices = page.choices
    given = {
        name: choices[name][value] if name in choices and isinstance(value, str) else build(value)
        for name, value in written["arguments"].items()
    }
    changed = digest(page.source) != written["sha256"]
    warning = (
        f"{page.source} was changed since this run began: it goes on with the page as it is now" if changed else ""
    )
    return page(**given, seed=written["seed"]), warning

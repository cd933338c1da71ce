"""Objects as plain data and back: a class's public name and the arguments its constructor stored.

``describe(MLP(64, 128, out=10))`` gives ``{"class": "descend.models.MLP", "arguments": {"features": 64, "hidden":
{"tuple": [128]}, "out": 10, …}, "id": 0}``. An object met a second time is ``{"same": id}``, so what was shared stays
shared. `build` takes only classes and loss functions that descend itself exports, or that the caller hands over by
name: reading a file can never run what the file brings along.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from torch import Tensor, nn

ROOMS = ("nn", "losses", "optim", "data", "models", "models.vision", "tasks")
"""Where names are looked up: the ``__all__`` of these packages."""


def describe(value: Any, tensors: dict[str, Tensor] | None = None) -> Any:
    """Plain JSON data that `build` makes the same object of.

    Tensors among the arguments go into ``tensors`` by a new name.

    Raises:
        TypeError: something cannot be written down; the message says where and what to do.
    """
    return _Describer({} if tensors is None else tensors).describe(value, "")


def build(data: Any, tensors: Mapping[str, Tensor] | None = None, classes: Mapping[str, type] | None = None) -> Any:
    """The object that `describe` wrote down.

    Args:
        data: what `describe` returned.
        tensors: those it put aside.
        classes: the user's own classes, by name.

    Raises:
        ValueError: a name is neither descend's nor among ``classes``, or the arguments do not fit.
    """
    return _Builder(tensors or {}, classes or {}).build(data)


def arguments(instance: Any) -> dict[str, Any]:
    """The arguments of an instance's constructor, read off the attributes of the same names."""
    cls = type(instance)
    found = {}
    for name, parameter in _parameters(cls).items():
        if name in ("device", "dtype") and not hasattr(instance, name):
            continue  # torch's modules take them; where a tensor lies is no part of what a module is
        if not hasattr(instance, name):
            raise TypeError(
                f"{cls.__name__} does not keep its argument {name!r}: a constructor stores its arguments verbatim "
                f"(self.{name} = {name}), so that the object can be saved and rebuilt"
            )
        value = getattr(instance, name)
        found[name] = tuple(value) if parameter.kind is parameter.VAR_POSITIONAL else value
    return found


def _parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    """Of the constructor; none where a module has no constructor of its own."""
    return {} if cls.__init__ is nn.Module.__init__ else inspect.signature(cls).parameters


def public_name(thing: type | FunctionType) -> str | None:
    """The name under which descend exports a class or function: ``descend.nn.ReLU``; None if it does not."""
    for room in ROOMS:
        package = importlib.import_module(f"descend.{room}")
        if thing.__name__ in package.__all__ and getattr(package, thing.__name__) is thing:
            return f"descend.{room}.{thing.__name__}"
    return None


class _Describer:
    def __init__(self, tensors: dict[str, Tensor]):
        self.tensors = tensors
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # an id is only good as long as its object lives

    def describe(self, value: Any, path: str) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": str(value)}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list):
            return [self.describe(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
        if isinstance(value, tuple):
            return {"tuple": [self.describe(inner, f"{path}[{i}]") for i, inner in enumerate(value)]}
        if isinstance(value, Path):
            return {"path": str(value)}
        if isinstance(value, dict):
            if any(not isinstance(key, str) for key in value):
                raise TypeError(f"{path or 'the object'}: a dictionary is written down only if its keys are strings")
            return {"dict": {key: self.describe(inner, f"{path}[{key!r}]") for key, inner in value.items()}}
        if isinstance(value, Tensor):
            name = f"argument {len(self.tensors)}"
            self.tensors[name] = value
            return {"tensor": name}
        if isinstance(value, FunctionType):
            name = public_name(value)
            if name is None:
                raise TypeError(
                    f"{path}: the function {value.__qualname__} is not descend's own, so it cannot be "
                    "written down; make it a class that stores its arguments"
                )
            return {"function": name}
        return self._object(value, path)

    def _object(self, value: Any, path: str) -> dict[str, Any]:
        if id(value) in self.seen:
            return {"same": self.seen[id(value)]}
        number = self.seen[id(value)] = len(self.seen)
        self.alive.append(value)
        cls = type(value)
        inner = {name: self.describe(argument, f"{path}.{name}") for name, argument in arguments(value).items()}
        return {"class": public_name(cls) or f"{cls.__module__}.{cls.__qualname__}", "arguments": inner, "id": number}


class _Builder:
    def __init__(self, tensors: Mapping[str, Tensor], classes: Mapping[str, type]):
        self.tensors = tensors
        self.classes = classes
        self.made: dict[int, Any] = {}

    def build(self, data: Any) -> Any:
        if isinstance(data, list):
            return [self.build(inner) for inner in data]
        if not isinstance(data, dict):
            return data
        if "class" in data:
            return self._object(data)
        if len(data) != 1:
            raise ValueError(f"this is no description of an object: its keys are {', '.join(data) or 'none'}")
        kind, value = next(iter(data.items()))
        if kind == "tuple":
            return tuple(self.build(inner) for inner in value)
        if kind == "dict":
            return {key: self.build(inner) for key, inner in value.items()}
        if kind == "float":
            return float(value)
        if kind == "path":
            return Path(value)
        if kind == "tensor" and value in self.tensors:
            return self.tensors[value]
        if kind == "same" and value in self.made:
            return self.made[value]
        if kind == "function":
            return self._exported(value, FunctionType)
        raise ValueError(f"this is no description of an object: {kind!r}: {value!r}")

    def _object(self, data: dict[str, Any]) -> Any:
        name = data["class"]
        cls = self.classes.get(name) or self.classes.get(name.rpartition(".")[2]) or self._exported(name, type)
        given = {key: self.build(inner) for key, inner in data.get("arguments", {}).items()}
        parameters = _parameters(cls)
        unknown = set(given) - set(parameters)
        if unknown:
            raise ValueError(f"{name} takes {', '.join(parameters)}; the file also gives {', '.join(sorted(unknown))}")
        # Arguments before a *varargs must be given by place; everything after it by name.
        varying = next((n for n, p in parameters.items() if p.kind is p.VAR_POSITIONAL), None)
        places: list[Any] = []
        if varying is not None:
            before = list(parameters)[: list(parameters).index(varying)]
            places = [*(given.pop(n) for n in before), *given.pop(varying)]
        try:
            made = cls(*places, **given)
        except TypeError as error:
            raise ValueError(f"{name} cannot be made from what the file gives: {error}") from None
        self.made[data["id"]] = made
        return made

    def _exported(self, name: str, kind: type) -> Any:
        package, _, short = name.rpartition(".")
        if package in {f"descend.{room}" for room in ROOMS}:
            room = importlib.import_module(package)
            if short in room.__all__ and isinstance(getattr(room, short), kind):
                return getattr(room, short)
        raise ValueError(
            f"{name!r} is not one of descend's own: if it is yours and you trust it, pass it by name, "
            f"load(…, classes={{{short!r}: {short}}})"
        )

"""A form (a dataclass) says what a command takes; tyro reads words into it. A recipe's form is made of its signature.

Names that tyro would not know are looked at first, because the nearest known name is the best answer to a typo; what
tyro itself refuses becomes one line. Names become objects here and nowhere else: an argument annotated with a `Choice`
is typed as one of its names.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

import tyro

from descend.cli.wrong import Wrong, nearest

if TYPE_CHECKING:
    from descend.engine import Recipe

Form = TypeVar("Form")
Place = tyro.conf.Positional
"""Marks what is given by its place, not by --name."""
_POSITIONAL = get_args(Place[int])[1]


def parse(form: type[Form], words: Sequence[str], prog: str, about: str) -> Form:
    """Read words into a form; ``--help`` prints what it takes and leaves.

    Raises:
        Wrong: the words do not fit; a typo is answered with the nearest name.
    """
    _look_for_typos(words, options(form), prog)
    said, shown = io.StringIO(), io.StringIO()
    # tyro colours its help wherever there is a terminal; a buffer is none.
    plain = contextlib.redirect_stdout(shown) if os.environ.get("NO_COLOR") else contextlib.nullcontext()
    try:
        with contextlib.redirect_stderr(said), plain:
            return tyro.cli(
                form, prog=prog, args=list(words), description=about, config=(tyro.conf.PositionalMetavarFromFieldName,)
            )
    except SystemExit as end:
        if not end.code:
            print(shown.getvalue(), end="")
            raise
        raise Wrong(_one_line(said.getvalue(), prog)) from None


def options(form: type) -> dict[str, Any]:
    """The options of a form by what is typed, ``--name``, and their types; those of nested forms included."""
    found: dict[str, Any] = {}
    hints = typing.get_type_hints(form, include_extras=True)
    for each in fields(form):
        kind, marks = _plain(hints[each.name])
        if _POSITIONAL in marks:
            continue
        # tyro lets an annotation give a name that is no Python name (class).
        given = next((mark.name for mark in marks if getattr(mark, "name", None)), each.name)
        name = "--" + given.replace("_", "-")
        if isinstance(kind, type) and is_dataclass(kind):
            found |= {f"{name}.{inner[2:]}": deep for inner, deep in options(kind).items()}
            continue
        found[name] = kind
        if kind is bool:
            found["--no-" + name[2:]] = kind
    return found


@dataclass(frozen=True)
class Order:
    """What a recipe is asked to do.

    Attributes:
        arguments: of the recipe, as objects.
        run: the form of the run's own options, filled in.
    """

    arguments: dict[str, Any]
    run: Any


def order(recipe: Recipe, run: type, words: Sequence[str], prog: str) -> Order:
    """Read words into the recipe's arguments and the run's options, parsed together.

    A recipe's own argument takes the place of an option of the run that has the same name (``steps``, say).

    Raises:
        Wrong: the words do not fit.
    """
    hints, choices = recipe.hints, recipe.choices
    rows: list[Any] = []
    for name, parameter in recipe.signature.parameters.items():
        kind, default = hints.get(name, str), parameter.default
        if name in choices:
            kind = Literal[tuple(choices[name].named)]  # type: ignore[valid-type]
            default = choices[name].name_of(default) if default is not parameter.empty else default
        rows.append((name, kind, field() if default is parameter.empty else _default(default)))
    own = {name for name, *_ in rows}
    run_hints = typing.get_type_hints(run, include_extras=True)
    rest = [each for each in fields(run) if each.name not in own]
    rows += [(each.name, run_hints[each.name], _default(each.default)) for each in rest]
    read = parse(make_dataclass("Order", rows, kw_only=True), words, prog, recipe.doc)
    arguments = {name: getattr(read, name) for name in own}
    arguments |= {name: choices[name][arguments[name]] for name in choices}
    return Order(arguments, run(**{each.name: getattr(read, each.name) for each in rest}))


def _plain(kind: Any) -> tuple[Any, tuple]:
    """A type without its annotations, and they."""
    if get_origin(kind) is Annotated:
        return get_args(kind)[0], kind.__metadata__
    return kind, ()


def _default(value: Any) -> Any:
    return field(default_factory=lambda: value)  # a dataclass takes no mutable default otherwise


def _look_for_typos(words: Sequence[str], known: dict[str, Any], prog: str) -> None:
    for place, word in enumerate(words):
        if not re.match(r"--?[A-Za-z]", word) or word in ("-h", "--help"):
            continue
        name, given, value = word.partition("=")
        typed = name.replace("_", "-")
        if typed not in known:
            raise Wrong(f"`{prog}` takes no {name}{nearest(name, known)}; `{prog} --help` lists what it takes")
        kind = _plain(known[typed])[0]
        follows = value if given else next(iter(words[place + 1 :]), None)
        if get_origin(kind) is Literal and follows is not None and follows not in map(str, get_args(kind)):
            allowed = [str(choice) for choice in get_args(kind)]
            near = nearest(follows, allowed)
            raise Wrong(f"{name} {follows!r} is not a choice{near}; there are {', '.join(allowed)}")


def _one_line(said: str, prog: str) -> str:
    """The message inside tyro's box, on one line."""
    inside: list[str] = []
    for line in (line.strip("│") for line in said.splitlines()[1:]):
        if not line.strip(" ─-╰╯"):  # a rule: the message lies before the second one
            if inside:
                break
        elif not line.startswith(" " * 9):  # further in, tyro repeats an option's help
            inside.append(line.strip())
    text = re.sub(r"^Missing from (.*?):", r"`\1` needs", " ".join(inside))
    text = re.sub(r"^Unrecognized options: (.*)", rf"`{prog}` does not take the word(s) \1", text)
    return f"{text}; `{prog} --help` lists what it takes"

"""Recipes as pages: found, listed, shown and copied without being run.

A page is a file of Python with one function under ``@recipe``. Its name, first line and command are read off its
syntax tree, so that ``descend list`` needs neither torch nor the page's own imports.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from descend.cli.arguments import Place, parse
from descend.cli.wrong import Wrong, nearest

if TYPE_CHECKING:
    from descend.engine import Recipe

HOUSE = Path(__file__).parents[1] / "recipes"
"""Where the house's own pages lie."""


@dataclass(frozen=True)
class Page:
    """One recipe in a file.

    Attributes:
        path: the file.
        name: of the function under ``@recipe``.
        doc: its docstring, unindented.
    """

    path: Path
    name: str
    doc: str

    @property
    def summary(self) -> str:
        return self.doc.partition("\n")[0]

    def load(self) -> Recipe:
        """Run the page and return its recipe. This is where torch is imported."""
        from descend.engine import find_recipe

        return find_recipe(self.path, self.name)


def house() -> dict[str, Page]:
    """The house's own pages by name."""
    return {page.name: page for path in sorted(HOUSE.glob("[!_]*.py")) for page in pages(path)}


def pages(path: Path) -> list[Page]:
    """The recipes of a file.

    Raises:
        Wrong: it cannot be read, or is not Python.
    """
    try:
        tree = ast.parse(path.read_text("utf-8"), str(path))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise Wrong(f"{path} is not Python: {error}") from None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [
        Page(path, node.name, ast.get_docstring(node) or "")
        for node in functions
        if any(_name(decorator) == "recipe" for decorator in node.decorator_list)
    ]


def find(word: str) -> Page:
    """The page that ``digits``, ``mine.py`` or ``mine.py:second`` names.

    Raises:
        Wrong: there is none; the nearest name is told.
    """
    file, colon, name = word.rpartition(":")
    if not (colon and file.endswith(".py")):
        file, name = word, ""
    if not file.endswith(".py"):
        known = house()
        if word not in known:
            raise Wrong(
                f"there is no recipe {word!r}{nearest(word, known)}; `descend list` shows them, "
                "and a page of your own is given as FILE.py"
            )
        return known[word]
    path = Path(file)
    if not path.is_file():
        raise Wrong(f"there is no file {file}; `descend new RECIPE {file}` makes one")
    here = {page.name: page for page in pages(path)}
    if not here:
        raise Wrong(f"{file} has no function under @recipe; `descend show digits` shows what a page looks like")
    if name and name not in here:
        raise Wrong(f"{file} has no recipe {name!r}{nearest(name, here)}; it has {', '.join(here)}")
    if not name and len(here) > 1:
        raise Wrong(f"{file} has several recipes: say which, {' or '.join(f'{file}:{each}' for each in here)}")
    return here[name] if name else next(iter(here.values()))


@dataclass(frozen=True)
class Listing:
    json: bool = False
    """Print JSON, for machines."""


def list_(words: Sequence[str]) -> None:
    """The recipes, a line each."""
    form = parse(Listing, words, "descend list", "The recipes, a line each.")
    known = house()
    if form.json:
        rows = [{"name": page.name, "summary": page.summary, "doc": page.doc} for page in known.values()]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max(map(len, known), default=0)
    for page in known.values():
        print(f"{page.name:{width}}  {page.summary}")
    print("\ndescend show RECIPE prints its page; descend train RECIPE runs it.")


@dataclass(frozen=True)
class Showing:
    recipe: Place[str]
    """Name of a recipe, or FILE.py."""


def show(words: Sequence[str]) -> None:
    """Print a recipe's page."""
    form = parse(Showing, words, "descend show", "Print a recipe's page.")
    print(find(form.recipe).path.read_text("utf-8"), end="")


@dataclass(frozen=True)
class Copying:
    recipe: Place[str]
    """Name of a recipe, or FILE.py."""
    file: Place[Path]
    """The new page: a name that ends in .py. An existing file is never written over."""


def new(words: Sequence[str]) -> None:
    """Copy a recipe's page to a new file."""
    form = parse(Copying, words, "descend new", "Copy a recipe's page, to make it yours.")
    page = find(form.recipe)
    if form.file.suffix != ".py":
        raise Wrong(f"{form.file} does not end in .py: type `descend new {form.recipe} {form.file}.py`")
    try:
        with form.file.open("x", encoding="utf-8") as file:
            file.write(page.path.read_text("utf-8"))
    except FileExistsError:
        raise Wrong(f"{form.file} exists and is not written over: choose another name") from None
    except FileNotFoundError:
        raise Wrong(f"there is no folder {form.file.parent}: make it first") from None
    print(f"{form.file} is yours. Change it, then:\n  descend train {form.file}")


def _name(decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    return decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "")

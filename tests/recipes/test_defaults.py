"""Every recipe can be trained by its name alone: what an argument is by default has a name among its choices."""

import importlib
from pathlib import Path

import pytest

from descend import recipes
from descend.engine.recipe import Recipe

PAGES = sorted(path.stem for path in Path(recipes.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_what_is_left_out_has_a_name(page):
    found = vars(importlib.import_module(f"descend.recipes.{page}"))[page]
    assert isinstance(found, Recipe)
    for name, choice in found.choices.items():
        default = found.signature.parameters[name].default
        assert choice.name_of(default) in choice.named, f"--{name} is {default} by default"

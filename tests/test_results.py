"""What the documents say is what was measured."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
ROWS = json.loads((HOME / "docs" / "results.json").read_text())
KEYS = {
    *("recipe", "setting", "data", "metric", "value", "sd", "beside", "n", "seconds"),
    *("published", "source", "command"),
}


def test_the_tables_are_generated_from_the_results(monkeypatch):
    monkeypatch.syspath_prepend(HOME / "benchmarks")
    spec = importlib.util.spec_from_file_location("benchmark_recipes", HOME / "benchmarks" / "recipes.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    readme = (HOME / "README.md").read_text()
    assert module.documents(ROWS, readme) == ((HOME / "docs" / "results.md").read_text(), readme)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["command"])
def test_a_row_says_how_it_was_measured(row):
    assert set(row) == KEYS
    assert row["metric"].startswith("test ")
    assert row["n"] >= (5 if row["seconds"] < 180 else 3 if row["seconds"] < 600 else 1)
    assert row["sd"] is not None or row["n"] == 1

"""The house itself: floors, pins, the shape of files."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "descend").rglob("*.py"))


def lint(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("file", "planted", "kept"),
    [
        ("functional/mean.py", "", True),
        ("functional/mean.py", "import descend.optim", False),
        ("data/batch.py", "from descend import losses", False),
        ("engine/fit.py", "def late():\n    from descend.tasks import Classify", False),
        ("insight/report.py", "import descend.engine", True),
        ("tasks/classify.py", "import descend.cli.main", False),
    ],
)
def test_an_import_goes_only_to_a_lower_floor(tmp_path, file, planted, kept):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "src" / "descend" / file
    path.write_text(path.read_text() + f"\n{planted}\n")
    done = lint(tmp_path)
    assert ("1 kept, 0 broken" in done.stdout) == kept, done.stdout + done.stderr
    assert (done.returncode == 0) == kept


def test_every_file_opens_with_its_idea_and_stays_under_the_ceiling():
    for path in SOURCES:
        text = path.read_text("utf-8")
        assert ast.get_docstring(ast.parse(text)) or not text.strip(), f"{path} has no docstring"
        assert text.count("\n") <= 400, f"{path} is longer than 400 lines: an idea is hiding"


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.match(r"[A-Za-z0-9-]+", each)[0].lower() for each in asked} - {"descend"}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line) for line in lines), "no local version, no URL"
    assert names <= {line.partition("==")[0].lower() for line in lines}

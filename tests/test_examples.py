"""Every example runs as it stands, and says what it is meant to say."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path):
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True, timeout=120)
    scores = [float(word) for word in done.stdout.split() if word.startswith("0.")]
    assert scores
    assert min(scores) > 0.9, done.stdout


@pytest.mark.slow
def test_the_readme_shows_the_first_example():
    code = (EXAMPLES[0].parent / "first.py").read_text().split('"""\n', 1)[1].strip()
    assert code in (EXAMPLES[0].parents[1] / "README.md").read_text()

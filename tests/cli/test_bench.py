"""``descend bench``: the machine, a recipe on it, and words that do not fit."""

import re

import pytest

from descend.cli.bench import bench
from descend.cli.wrong import Wrong
from descend.engine import STEP


@pytest.mark.slow
def test_the_machine_alone(capsys):
    assert bench([]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"matrix product, float32 +[\d,]+ GFLOP/s\n", shown)
    assert re.search(r"copy in memory +[\d,]+ GB/s\n", shown)


@pytest.mark.slow
def test_a_recipe_on_it(capsys):
    assert bench(["digits", "--seconds", "0.3", "--precision", "float32"]) == 0
    shown = capsys.readouterr().out
    assert "samples/s" in shown
    shares = [float(found) for found in re.findall(r"^  \w+ +([\d.]+)% ", shown, re.MULTILINE)]
    assert len(shares) == len(STEP)
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert re.search(r"\d+% of the limit in float32", shown)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digts"], "did you mean 'digits'"),
        (["digits", "--secnds", "3"], "did you mean '--seconds'"),
        (["--devise", "cpu"], "did you mean '--device'"),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(Wrong, match=message):
        bench(words)

"""The proofs prove: they pass where the promise holds and fail, with code 5, where it is broken on purpose."""

from pathlib import Path

import pytest

from descend.cli.main import main

PAGE = Path(__file__).parent / "page.py"
FORGETFUL = """
import os
import torch
from descend.engine import recipe
from tests.cli.page import tiny as good


@recipe
def tiny(epochs: int = 400, dropout: float = 0.0):
    made = good.function(epochs=epochs, dropout=dropout)
    step = made.task.step

    def forgetful(batch):
        found = step(batch)
        with torch.no_grad():
            {harm}
        return found

    made.task.step = forgetful
    return made
"""


@pytest.mark.slow
def test_resume_is_verified(capsys):
    assert main(["verify", "resume", str(PAGE), "--epochs", "400", "--dropout", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "kill   after" in said
    assert said.endswith("verified: resumed = unbroken\n")


@pytest.mark.slow
def test_a_run_that_draws_what_is_not_keyed_fails(capsys, tmp_path):
    # The bug planted: every process adds its own noise to a weight.
    harm = "next(made.task.parameters()).add_(int.from_bytes(os.urandom(1), 'big') * 1e-6)"
    (tmp_path / "bad.py").write_text(FORGETFUL.format(harm=harm))
    assert main(["verify", "resume", str(tmp_path / "bad.py")]) == 5
    assert "resumed differs from unbroken in" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_too_short_to_be_killed_says_so(capsys):
    assert main(["verify", "resume", str(PAGE), "--steps", "1"]) == 2
    assert "too short to be killed" in capsys.readouterr().err


@pytest.mark.slow
def test_invariance_is_verified(capsys):
    assert main(["verify", "invariance", str(PAGE), "--dropout", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "dropout is set to 0" in said
    assert "4 parts, 1 rank " in said
    assert said.endswith("verified: the same weights however the batch is split\n")


@pytest.mark.slow
def test_a_run_that_depends_on_its_rank_fails(capsys, tmp_path):
    harm = "next(made.task.parameters()).mul_(1 + 1e-4 * int(os.environ.get('DESCEND_RANKS', 1)))"
    (tmp_path / "bad.py").write_text(FORGETFUL.format(harm=harm))
    assert main(["verify", "invariance", str(tmp_path / "bad.py")]) == 5
    assert "a split batch moves the weights elsewhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], ""),
        (["resum", "digits"], "'resum' is not verified: did you mean 'resume'?"),
        (["resume"], "name the recipe: descend verify resume RECIPE"),
        (["resume", "digts"], "did you mean 'digits'"),
        (["resume", str(PAGE), "--out", "x"], "sets --out itself"),
        (["invariance", str(PAGE), "--micro", "2"], "sets --micro itself"),
        (["resume", str(PAGE), "--epoch", "2"], "did you mean '--epochs'"),
    ],
)
def test_wrong_words(words, message, capsys):
    assert main(["verify", *words]) == 2
    assert message in capsys.readouterr().err

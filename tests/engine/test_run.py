"""A run's folder: one process, one description, a journal without torn lines."""

import json
import subprocess
import sys

import pytest

from descend.engine import Run, UsageError


def test_two_runs_in_one_folder_are_refused(tmp_path):
    with Run.create(tmp_path / "run", {"seed": 1}):
        pass
    with pytest.raises(UsageError, match=r"already holds a run.*descend resume"):
        Run.create(tmp_path / "run", {})
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {"seed": 1}


@pytest.mark.slow
def test_two_processes_in_one_folder_are_refused(tmp_path):
    program = "import sys\nfrom pathlib import Path\nfrom descend.engine import Run\nRun.open(Path(sys.argv[1]))"
    with Run.create(tmp_path, {"seed": 1}):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert "another process (pid" in done.stderr
    Run.open(tmp_path).close()


def test_no_run_and_a_broken_run(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        Run.open(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match="is not JSON"):
        Run.open(tmp_path)


def test_rewinding_drops_later_and_torn_lines(tmp_path):
    with Run.create(tmp_path, {}) as run:
        for step in (5, 10, 15):
            run.log({"step": step})
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 2')
        run.rewind(10)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 5}\n{"step": 10}\n'


def test_what_was_chosen_is_written_down(tmp_path):
    with Run.create(tmp_path, {"compute": {"precision": None, "ranks": 2, "notes": []}, "seed": 3}) as run:
        run.chose({"precision": "bfloat16"}, ["precision bfloat16: kept"])
        written = {"precision": "bfloat16", "ranks": 2, "notes": ["precision bfloat16: kept"], "chosen": True}
        assert run.description == {"compute": written, "seed": 3}

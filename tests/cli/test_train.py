"""Training and resuming as a person does it: real words, real folders, real signals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from descend.cli import train as cli
from descend.cli.main import main

PAGE = str(Path(__file__).parent / "page.py")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def lines(path: str) -> list[dict]:
    return [json.loads(line) for line in (Path(path) / "metrics.jsonl").read_text().splitlines()]


def start(*words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "descend", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def final(folder: str) -> dict:
    newest = max((Path(folder) / "checkpoints").iterdir())
    return load_file(newest / "tensors.safetensors")


def test_a_run_leaves_its_folder_and_says_score_time_folder_and_what_to_type_next(capsys):
    assert main(["train", PAGE, "--epochs", "2", "--seed", "5"]) == 0
    said = capsys.readouterr().out
    folder = Path("runs/tiny-1")
    assert {path.name for path in folder.iterdir()} >= {
        "run.json",
        "metrics.jsonl",
        "scores.json",
        "checkpoints",
        "model",
        "report.html",
    }
    scores = json.loads((folder / "scores.json").read_text())
    assert f"accuracy {scores['test']['accuracy']:.4g} on the test split" in said
    assert "runs/tiny-1/report.html" in said
    assert said.endswith("next:\n  descend predict runs/tiny-1 FILE\n")
    run = json.loads((folder / "run.json").read_text())
    assert run["recipe"]["arguments"]["epochs"] == 2
    assert run["recipe"]["seed"] == 5
    assert f"{scores['test']['accuracy']:.4g}" in (folder / "report.html").read_text()


def test_a_run_without_a_step_is_scored_as_it_began(capsys):
    assert main(["train", PAGE, "--epochs", "0"]) == 0
    assert "(as it began)" in capsys.readouterr().out


def test_json_is_lines_of_json(capsys):
    assert main(["train", PAGE, "--epochs", "1", "--json"]) == 0
    *points, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert points == lines("runs/tiny-1")
    assert last["folder"] == "runs/tiny-1"
    assert last["scores"] == json.loads(Path("runs/tiny-1/scores.json").read_text())


def test_runs_are_numbered_and_two_never_share_a_folder():
    assert [str(cli.fresh("x")) for _ in range(3)] == ["runs/x-1", "runs/x-2", "runs/x-3"]
    Path("runs/x-2").rmdir()
    assert str(cli.fresh("x")) == "runs/x-2"


def test_a_run_that_cannot_begin_leaves_no_folder(capsys):
    assert main(["train", PAGE, "--device", "gpu9"]) == 2
    assert "device 'gpu9' cannot be used" in capsys.readouterr().err
    assert not list(Path("runs").glob("*"))


def test_a_folder_that_holds_a_run_is_refused_and_kept(capsys):
    assert main(["train", PAGE, "--epochs", "1", "--out", "mine"]) == 0
    before = Path("mine/metrics.jsonl").read_text()
    assert main(["train", PAGE, "--epochs", "1", "--out", "mine"]) == 2
    assert "already holds a run: go on with `descend resume mine`" in capsys.readouterr().err
    assert Path("mine/metrics.jsonl").read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], ""),
        (["train", "--lr", "3"], "takes the recipe first: descend train RECIPE --lr 3"),
        (["train", "digts"], "did you mean 'digits'"),
        (["train", PAGE, "--epoch", "3"], "did you mean '--epochs'"),
        (["train", PAGE, "--ranks", "0"], "--ranks is 0"),
        (["resume", "runs/nothing"], "there is no folder runs/nothing"),
        (["resume"], "needs RUN"),
    ],
)
def test_wrong_words(words, message, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == bool(message)


def test_train_alone_lists_the_recipes(capsys):
    assert main(["train", "--help"]) == 0
    said = capsys.readouterr().out
    assert "  digits " in said
    assert re.search("^  text_to_picture +Make", said, re.MULTILINE)


def test_resume_names_the_nearest_run(capsys):
    cli.fresh("digits")
    assert main(["resume", "runs/digit-1"]) == 2
    assert "did you mean 'runs/digits-1'?" in capsys.readouterr().err
    assert main(["resume", "runs/digits-1"]) == 2
    assert "holds no run" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 75)])
def test_a_signal_commits_a_checkpoint_and_resume_ends_with_the_same_bits(number, code, capsys):
    words = [PAGE, "--epochs", "40", "--dropout", "0.2"]
    process = start("train", *words, "--out", "stopped")
    until(lambda: Path("stopped/metrics.jsonl").exists() and len(lines("stopped")) > 3)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "descend: interrupted after step" in said
    assert "Traceback" not in said
    stopped_at = int(max(Path("stopped/checkpoints").iterdir()).name)
    assert 0 < stopped_at < 40 * 22
    assert "interrupted after step" in Path("stopped/report.html").read_text()
    assert main(["resume", "stopped"]) == 0
    assert main(["train", *words, "--out", "whole"]) == 0
    one, other = final("stopped"), final("whole")
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)
    assert [line["step"] for line in lines("stopped")] == [line["step"] for line in lines("whole")]


def test_resume_as_an_option_begins_or_goes_on(capsys):
    words = ["train", PAGE, "--epochs", "2", "--out", "mine", "--resume"]
    assert main(words) == 0
    first = final("mine")
    assert main(words) == 0
    assert all((final("mine")[name] == first[name]).all() for name in first)
    assert main([*words, "--lr", "0.5"]) == 2
    assert "holds a run with lr 0.01, not 0.5" in capsys.readouterr().err
    assert main([*words, "--seed", "1"]) == 2
    assert "holds a run with seed 0, not 1" in capsys.readouterr().err


@pytest.mark.slow
def test_two_ranks_train_one_run_and_resume_as_two(capfd):
    assert main(["train", PAGE, "--epochs", "2", "--ranks", "2"]) == 0
    said = capfd.readouterr().out
    assert said.count("on the test split") == 1
    assert json.loads(Path("runs/tiny-1/run.json").read_text())["compute"]["ranks"] == 2
    assert main(["train", PAGE, "--epochs", "2", "--out", "one"]) == 0
    for name, value in final("one").items():
        assert final("runs/tiny-1")[name].allclose(value, rtol=1e-3, atol=1e-4), name
    assert main(["resume", "runs/tiny-1"]) == 0


def test_a_diverged_run_exits_with_4_and_is_reported(capsys):
    assert main(["train", PAGE, "--lr", "1e30", "--optimizer", "sgd"]) == 4
    said = capsys.readouterr().err
    assert "descend: the loss became" in said
    assert "Traceback" not in said
    assert "the loss became" in Path("runs/tiny-1/report.html").read_text()


@pytest.mark.slow
def test_a_page_of_ones_own_is_copied_and_run(capsys):
    assert main(["new", "digits", "mine.py"]) == 0
    assert main(["train", "mine.py", "--lr", "3e-4", "--epochs", "1"]) == 0
    assert json.loads(Path("runs/digits-1/run.json").read_text())["recipe"]["source"] == os.path.realpath("mine.py")
    assert f"descend train {os.path.realpath('mine.py')}" in Path("runs/digits-1/report.html").read_text()

"""The report reads a run's files, whatever state they are in, and writes one page that needs nothing else."""

import re
from html.parser import HTMLParser

import pytest

from descend.insight import report
from tests.insight.runs import description, folder, lines, scores

VOID = {"meta"}


class Checker(HTMLParser):
    """Every tag closed in order; text, tags and attributes kept."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def made(path) -> Checker:
    written = report(path)
    assert written == path / "report.html"
    text = written.read_text("utf-8")
    assert not re.search(r"https?://|@import|url\(|<script|<link|src=", text), "it must open offline"
    checker = Checker(text)
    assert not checker.open
    return checker


def test_a_whole_run_is_shown_with_score_curves_confusion_time_and_command(tmp_path):
    page = made(folder(tmp_path / "digits-1", lines(), scores()))
    for expected in (
        "digits-1",
        "0.9722",
        "95 % interval 0.937 to 0.988 from 180 samples",
        "17,226",
        "Learning rate",
        "two taken for zero (4 times)",
        "checkpoint",
        "Nothing stands out",
        "To do it again",
        "descend train digits --hidden 128 64 --lr 0.001 --no-flip --data 'a b.csv' --seed 3 --steps 240 "
        "--device cpu --precision float32 --compile off --graph off --products off --onednn on --threads 2 --micro 4",
    ):
        assert expected in page.text
    assert page.tags.count("svg") == 4
    assert page.tags.count("td") > 9


def test_all_text_from_files_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    reached = scores((evil, "one", "two")) | {"stopped": evil, "test": {"accuracy": 0.5, evil: 1.0}}
    log = [line | {"train/" + evil: 1.0, "lr": 1.0, "lr/" + evil: 2.0} for line in lines()]
    run = description(commit=evil, versions={evil: evil})
    run["recipe"] |= {"name": evil, "source": evil, "arguments": {evil: evil}}
    run["compute"]["notes"] = [evil]
    run["data"]["name"] = evil
    page = made(folder(tmp_path / "x", log, reached, run))
    assert "script" not in page.tags
    assert evil in page.text
    report(tmp_path / "x", ended=evil)
    assert "<script" not in (tmp_path / "x" / "report.html").read_text()


def test_a_run_without_validation(tmp_path):
    reached = scores()
    del reached["valid"], reached["test"], reached["confusion"]
    page = made(folder(tmp_path / "x", lines(valid=False), reached | {"best": {"step": 240, "value": None}}))
    assert "Loss" in page.text
    assert "Scores" not in page.text


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_half_finished_run(tmp_path, kept):
    path = folder(tmp_path / "x", lines()[:kept], None)
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 12, "train/lo')
    page = made(path)
    assert "not scored yet" in page.text
    assert (f"the log ends at step {2 * kept} of 240" in page.text) or kept == 0
    assert ("svg" in page.tags) == (kept > 0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_break_the_curve_and_are_named(tmp_path, bad):
    log = lines()
    log[60]["train/loss"] = bad
    page = made(folder(tmp_path / "x", log, None))
    assert f"Diverged: the training loss was {bad} at step 122" in page.text
    assert page.tags.count("polyline") > len([tag for tag in page.tags if tag == "svg"])


def test_only_bad_values_draw_nothing(tmp_path):
    log = [{"step": 1, "train/loss": float("nan"), "lr": None}]
    assert "svg" not in made(folder(tmp_path / "x", log, None)).tags


def test_why_a_run_ended_comes_first(tmp_path):
    path = folder(tmp_path / "x", lines()[:20], None)
    text = report(path, ended="the loss became nan in step 41").read_text()
    assert "<li>the loss became nan in step 41</li>" in text
    assert "Unfinished" not in text


def test_many_classes_are_summed_up(tmp_path):
    page = made(folder(tmp_path / "x", lines(), scores(tuple(map(str, range(60))))))
    assert "2 taken for 0" in page.text
    assert page.tags.count("td") < 100


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no run\.json"):
        report(tmp_path)

"""Making pictures from a run's folder, and having them judged."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from descend import tasks
from descend.cli.main import main
from descend.data import PictureCodec
from descend.engine import Predictor
from descend.models import DenoisingUNet
from descend.optim import AdamW
from descend.tasks import Diffusion, Way
from tests.insight.makers import LABELS, Means, pictures

MAKERS = Path(__file__).parents[1] / "insight" / "makers.py"


class Captioned(PictureCodec):
    """A codec that knows words: as many of a class's letters as are asked for."""

    def asked(self, text):
        return {"target": torch.tensor(LABELS.index(text))}


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Makes a folder of a network that gives the mean digits, as if its task were one of descend's own."""
    for thing in (Means, Captioned):
        monkeypatch.setattr(tasks, thing.__name__, thing, raising=False)
    monkeypatch.setattr(tasks, "__all__", [*tasks.__all__, "Means", "Captioned"])
    monkeypatch.chdir(tmp_path)

    def make(known=10, codec=PictureCodec):
        data, _ = pictures()
        task = Means(AdamW(1e-3), known)
        x, target = data.train.tensors["x"], data.train.tensors["target"]
        with torch.no_grad():
            task.mean.weight.copy_(torch.stack([x[target == label].mean(0).flatten() for label in range(10)]))
        Predictor(task, codec(8, 8, 1, LABELS)).save(tmp_path / "run" / "model")
        return task

    return make


def picture(path):
    return torch.from_numpy(np.array(Image.open(path))) / 255


def test_the_seed_fixes_the_pictures_and_each_lies_alone_beside_the_sheet(model, capsys):
    task = model()
    assert main(["sample", "run", "--n", "12", "--seed", "3", "--out", "one"]) == 0
    assert capsys.readouterr().out == "12 in one\n"
    assert sorted(path.name for path in Path("one").iterdir()) == [*(f"{i:02d}.png" for i in range(12)), "sheet.png"]
    expected = task.eval().sample(12, 3)
    for number in (0, 11):
        torch.testing.assert_close(picture(f"one/{number:02d}.png"), expected[number, 0], atol=0.003, rtol=0)
    assert Image.open("one/sheet.png").size == (9 * 104 + 8, 2 * 104 + 8)
    for seed, same in ((3, True), (4, False)):
        assert main(["sample", "run", "--n", "12", "--seed", str(seed), "--out", f"again-{seed}"]) == 0
        equal = [
            Path("one", f"{i:02d}.png").read_bytes() == Path(f"again-{seed}/{i:02d}.png").read_bytes()
            for i in range(12)
        ]
        assert all(equal) if same else not any(equal)
    assert main(["sample", "run"]) == 0
    assert len(list(Path("samples").iterdir())) == 17


def test_a_file_holds_the_sheet_alone(model):
    model()
    assert main(["sample", "run/model", "--n", "2", "--out", "new/two.png"]) == 0
    assert [path.name for path in Path("new").iterdir()] == ["two.png"]
    assert Image.open("new/two.png").size == (2 * 104 + 8, 104 + 8)


@pytest.mark.parametrize("word", ["seven", "SEV"])
def test_a_class_is_asked_for_by_name(model, word):
    task = model()
    assert main(["sample", "run", "--n", "3", f"--class={word}", "--out", "sevens"]) == 0
    for number in range(3):
        away = (picture(f"sevens/{number}.png").flatten() - task.mean.weight).norm(dim=1)
        assert int(away.argmin()) == 7


def test_words_are_asked_for_where_they_are_known(model):
    task = model(codec=Captioned)
    assert main(["sample", "run", "--n", "2", "--text", "four", "--out", "four"]) == 0
    away = (picture("four/1.png").flatten() - task.mean.weight).norm(dim=1)
    assert int(away.argmin()) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n", "0"], "--n is 0: ask for 1 picture or more"),
        (["--class", "sevn"], "did you mean 'seven'?"),
        (["--class", "e"], "could be zero or one or three"),
        (["--clas", "seven"], "did you mean '--class'?"),
        (["--text", "a seven"], "run learned from no captions, so it knows no words: leave --text out"),
        (["--text", "a", "--class", "seven"], "give one of them"),
        (["--out", "run"], "run is there already: name another folder"),
        (["--out", "there.png"], "there.png is there already"),
    ],
)
def test_wrong_words(model, words, message, capsys):
    model()
    Path("there.png").write_bytes(b"mine")
    assert main(["sample", "run", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not Path("samples").exists()
    assert Path("there.png").read_bytes() == b"mine"


def test_a_network_that_was_taught_no_classes_is_asked_for_none(model, capsys):
    model(known=None)
    assert main(["sample", "run", "--class", "seven"]) == 2
    assert "run cannot be asked for a class: leave --class out" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that makes digits, and a judge."""
    folder = tmp_path_factory.mktemp("judged")
    for name in ("averages", "streamed", "reader"):
        assert main(["train", f"{MAKERS}:{name}", "--device", "cpu", "--out", str(folder / name)]) == 0
    return folder


def test_a_run_that_makes_pictures_leaves_samples_and_says_what_to_type(trained, tmp_path, capsys):
    assert len(list((trained / "averages" / "samples").iterdir())) == 8
    assert "Samples over the run" in (trained / "averages" / "report.html").read_text()
    assert not (trained / "reader" / "samples").exists()
    assert main(["train", f"{MAKERS}:averages", "--steps", "5", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.endswith(f"next:\n  descend sample {tmp_path / 'run'}\n")


def test_a_judge_says_what_samples_are_worth(trained, capsys):
    run, by = trained / "averages", trained / "reader"
    capsys.readouterr()
    assert main(["evaluate", str(run), "--judge", str(by), "--n", "200", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((run / "judged.json").read_text())
    assert said["judge"] == str(by)
    assert said["count"] == 200
    assert said["accuracy"] > 0.8  # the mean of a class looks like one of it
    assert said["coverage"] < said["coverage_real"]  # and stands for few
    for name in ("samples", "nearest"):
        assert Image.open(run / f"{name}.png").width > 500
    assert f"in the features of {by}" in (run / "report.html").read_text()
    assert main(["evaluate", str(run), "--judge", str(by), "--n", "200"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"200 samples judged by {by}; in the samples' place, real test pictures"
    assert lines[1].split() == ["accuracy", f"{said['accuracy']:.4f}", f"{said['judge_accuracy']:.4f}"]
    assert lines[2].split() == ["frechet", f"{said['frechet']:.4f}", f"{said['frechet_real']:.4f}"]
    assert lines[8].split() == ["accuracy", "zero", f"{said['by_class']['zero']:.4f}"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["averages", "--n", "5"], 2, "name the judge, --judge RUN"),
        (["averages", "--steps", "5"], 2, "--steps says how samples are made that are judged: name the judge"),
        (["averages", "--judge", "reader", "--split", "train"], 2, "leave --split train out"),
        (["averages", "--judge", "raeder"], 2, "did you mean"),
        (["averages", "--judge", "reader", "--n", "5000"], 2, "count is 5000: give 10 … 557"),
        (["streamed", "--judge", "reader"], 2, "the data of streamed are a stream, without the test split"),
        (["averages", "--judge", "averages"], 3, "averages"),  # a task that only its own page knows
        (["reader", "--judge", "reader", "--n", "20"], 2, "Classify makes no pictures"),
        (["sample", "reader"], 2, "holds a network that makes no pictures (Classify): descend predict"),
    ],
)
def test_wrong_words_of_judging(trained, words, code, message, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    capsys.readouterr()
    assert main(words if words[0] == "sample" else ["evaluate", *words]) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_the_way_of_diffusion_can_be_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    task = Diffusion(DenoisingUNet(1, (8,), attention=0), AdamW(1e-3), (1, 8, 8), way=Way(steps=2))
    for parameter in task.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    Predictor(task, PictureCodec(8, 8, 1)).save(tmp_path / "run" / "model")
    for name, words in {"a": (), "b": ("--steps", "5"), "c": ("--solver", "ancestral", "--steps", "5")}.items():
        assert main(["sample", "run", "--n", "2", "--out", f"{name}.png", *words]) == 0
    made = {name: Path(f"{name}.png").read_bytes() for name in "abc"}
    assert len(set(made.values())) == 3
    for words, why in (
        (("--guidance", "0"), "guidance is 0"),
        (("--guidance", "2"), "--guidance leads towards what is asked for: ask for something, --class or --text"),
        (("--steps", "1001"), "1001 solver steps were asked for, and 1000 were taught"),
        (("--solver", "hein"), "heun"),
    ):
        assert main(["sample", "run", "--out", "wrong.png", *words]) in (1, 2)
        assert why in capsys.readouterr().err
    assert not Path("wrong.png").exists()


def test_only_diffusion_is_led(model, capsys):
    model()
    assert main(["sample", "run", "--steps", "5"]) == 2
    assert "--steps leads diffusion, and this is Means: leave it out" in capsys.readouterr().err

"""Evaluating and predicting from a run's folder."""

import gzip
import json
from pathlib import Path

import pytest

from descend.cli.main import main

PAGE = str(Path(__file__).parent / "page.py")
SEVEN = Path(__file__).parents[2] / "examples" / "seven.png"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny-1"
    assert main(["train", PAGE, "--epochs", "15", "--hidden", "64", "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_evaluate_gives_the_scores_of_the_run(run, capsys):
    scores = json.loads((run / "scores.json").read_text())
    for split in ("test", "valid"):
        assert main(["evaluate", str(run), "--split", split, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["scores"] == pytest.approx(scores[split], abs=1e-6)
        assert found["samples"] == json.loads((run / "run.json").read_text())["data"][split]
    assert found["split"] == "valid"
    assert main(["evaluate", str(run)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("test split, ")
    assert f"accuracy  {scores['test']['accuracy']:.4f}" in said


@pytest.mark.parametrize("inside", ["", "model"])
def test_predict_reads_a_picture_from_a_run_or_a_model(run, inside, capsys):
    assert main(["predict", str(run / inside), str(SEVEN), str(SEVEN)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{SEVEN}: 7 (")


def test_predict_as_json(run, capsys):
    assert main(["predict", str(run), str(SEVEN), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["input"] == str(SEVEN)
    assert found["label"] == "7"
    assert 0.3 < found["confidence"] <= 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["predict", "RUN"], 2, "name what to answer for"),
        (["predict", "RUN", "no.png"], 2, "there is no file no.png"),
        (["predict", "runs/nothing", "no.png"], 2, "there is no"),
        (["predict", "RUN", PAGE], 3, "page.py"),
        (["predict", "EMPTY", PAGE], 3, "holds no model"),
        (["evaluate", "EMPTY"], 2, "holds no run"),
        (["evaluate", "RUN", "--split", "tests"], 2, "did you mean 'test'"),
    ],
)
def test_wrong_words(run, words, code, message, capsys, tmp_path):
    words = [{"RUN": str(run), "EMPTY": str(tmp_path)}.get(word, word) for word in words]
    assert main(words) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_predict_answers_every_row_of_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{i % 7},{'ab'[i % 2]},{'yes' if i % 2 else 'no'}" for i in range(300)]
    Path("some.csv").write_text("\n".join(["size,kind,answer", *rows]))
    assert main(["train", "table", "--data", "some.csv", "--target", "answer", "--steps", "300", "--out", "r"]) == 0
    capsys.readouterr()
    Path("new.csv").write_text("size,kind\n3,b\n2,a\n,b\n")
    assert main(["predict", "r", "new.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in lines] == ["new.csv:2: yes", "new.csv:3: no", "new.csv:4: yes"]
    Path("bad.csv").write_text("size\n3\n")
    assert main(["predict", "r", "bad.csv"]) == 3
    assert "kind" in capsys.readouterr().err


def test_predict_writes_restored_pictures(tmp_path, capsys):
    from PIL import Image

    from descend.data import PhotoCodec
    from descend.engine import Predictor
    from descend.models import EDSR
    from descend.optim import AdamW
    from descend.tasks import Restore

    Predictor(Restore(EDSR(1, 2, 4, 1), AdamW(1e-3)), PhotoCodec(1)).save(tmp_path / "model")
    Image.effect_noise((40, 30), 60).save(tmp_path / "wide.png")
    Image.effect_noise((20, 50), 60).save(tmp_path / "tall.png")
    words = ["predict", str(tmp_path / "model"), str(tmp_path / "wide.png"), str(tmp_path / "tall.png")]
    assert main([*words, "--out", str(tmp_path / "large")]) == 0
    assert f"wide.png: width 80, height 60, png {tmp_path / 'large' / 'wide.png'}\n" in capsys.readouterr().out
    assert Image.open(tmp_path / "large" / "tall.png").size == (40, 100)
    assert main([*words, "--out", str(tmp_path / "large")]) == 2
    assert "wide.png is there already: name another folder" in capsys.readouterr().err
    assert main(words) == 0
    assert " letters)" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["png"].startswith("iVBORw0KGgo")


def test_predict_names_boxes_in_the_pictures_own_pixels(tmp_path, capsys):
    """A detector that is sure everywhere finds something on a wide picture; one that is not says so."""
    from PIL import Image

    from descend.data import BoxCodec
    from descend.engine import Predictor
    from descend.models import FCOS, Backbone, ResNet
    from descend.nn import GroupNorm
    from descend.optim import AdamW
    from descend.tasks import Dense, Detect

    model = FCOS(Backbone(ResNet(1, 1, (1,), (8,), GroupNorm(4)), (0,)), 1, 8, 1, GroupNorm(4))
    codec = BoxCodec(16, 16, 1, labels=("cell",))
    Image.effect_noise((64, 32), 60).save(tmp_path / "wide.png")
    words = ["predict", str(tmp_path / "model"), str(tmp_path / "wide.png")]
    Predictor(Detect(model, Dense(), AdamW(1e-3)), codec).save(tmp_path / "model")
    assert main(words) == 0
    assert capsys.readouterr().out.strip().endswith("wide.png: nothing found")
    model.logits.bias.data.fill_(5.0)
    model.middle.bias.data.fill_(5.0)
    Predictor(Detect(model, Dense(), AdamW(1e-3)), codec).save(tmp_path / "model")
    assert main(words) == 0
    assert "wide.png: cell (" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["boxes"]
    assert min(min(one["box"]) for one in found) >= 0
    assert max(one["box"][2] for one in found) > 32  # of 64 pixels, where the network saw 16


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> Path:
    """A run that tells good texts from bad ones."""
    folder = tmp_path_factory.mktemp("texts")
    rows = [json.dumps({"text": f"a {w} film number {i}", "label": n}) for i in range(60) for w, n in WORDS]
    (folder / "reviews.jsonl").write_text("\n".join(rows))
    words = ["--data", str(folder / "reviews.jsonl"), "--epochs", "3", "--out", str(folder / "run")]
    assert main(["train", "sentiment", *words]) == 0
    return folder / "run"


WORDS = [("fine", "good"), ("great", "good"), ("dull", "bad"), ("poor", "bad")]


@pytest.mark.slow
def test_predict_reads_a_line_or_a_file_of_text(reviews, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(reviews), "a great film", "a dull film"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("a great film: good (")
    assert second.startswith("a dull film: bad (")
    Path("new.txt").write_text("a fine film\n\na poor film\n")
    assert main(["predict", str(reviews), "new.txt", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["input"], one["label"]) for one in found] == [("new.txt:1", "good"), ("new.txt:3", "bad")]
    Path("new.csv").write_text("text\na fine film\n")
    assert main(["predict", str(reviews), "new.csv"]) == 0
    assert capsys.readouterr().out.startswith("new.csv:2: good (")
    Path("new.jsonl").write_text('{"text": "a fine film", "label": "bad"}\n\n{"text": "a poor film"}\n')
    Path("new.csv.gz").write_bytes(gzip.compress(b"text\na fine film\n"))
    assert main(["predict", str(reviews), "new.jsonl", "new.csv.gz"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in said] == ["new.jsonl:1: good", "new.jsonl:3: bad", "new.csv.gz:2: good"]
    Path("gap.csv").write_text('text\na fine film\n""\n')
    assert main(["predict", str(reviews), "gap.csv"]) == 3
    found = capsys.readouterr()
    assert found.out.startswith("gap.csv:2: good (")
    assert "gap.csv:3: the text '' has no word" in found.err
    Path("strange.txt").write_bytes("pi\u00e8tre film".encode("latin-1"))
    for words, code, message in (
        (["nothing.txt"], 2, "there is no file nothing.txt"),
        ([" "], 3, "has no word"),
        (["strange.txt"], 3, "is not utf-8 at byte 2"),
    ):
        assert main(["predict", str(reviews), *words]) == code
        assert message in capsys.readouterr().err
    assert main(["predict", str(reviews), "strange.txt", "--encoding", "latin-1"]) == 0

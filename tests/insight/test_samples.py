"""Samples over a run: what they show, and that the run does not notice."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import PictureCodec, Tensors
from descend.engine import Compute, Moment, Observer, Run, train, weights
from descend.functional import keyed
from descend.insight import Samples, report, sheet
from descend.optim import AdamW
from tests.cli.page import tiny
from tests.insight import runs
from tests.insight.makers import Grey, Means, Shown, averages, pictures

COMPUTE = Compute("cpu", "float32", threads=1).settled()
STEPS = [5, 10, 15, 20, 25, 30, 35, 40]


class Killer(Observer):
    """Ends the process, as it were, after a step; the step itself is not committed."""

    def after(self, moment: Moment) -> None:
        if moment.step == 20:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    train(averages(seed=1), folder, COMPUTE, observers=[Samples()])
    return folder


def frames(folder):
    return {int(path.stem): path.read_bytes() for path in sorted((folder / "samples").iterdir())}


def test_rows_are_drawn_evenly_over_the_run_and_change(unbroken):
    found = frames(unbroken)
    assert list(found) == STEPS
    assert len(set(found.values())) == len(STEPS)
    rows = [np.asarray(Image.open(unbroken / "samples" / f"{step:06d}.png")) for step in STEPS]
    assert {row.shape for row in rows} == {(112, 10 * 104 + 8, 3)}
    # The mean pictures are learned: each class's place comes nearer to what is drawn there in the end.
    away = [abs(row.astype(float) - rows[-1]).mean() for row in rows]
    assert away[0] > 2 * away[-2]


def test_the_run_does_not_notice(unbroken, tmp_path):
    train(averages(seed=1), tmp_path / "alone", COMPUTE)
    assert not (tmp_path / "alone" / "samples").exists()
    one, other = weights(unbroken), weights(tmp_path / "alone")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_resumed_run_draws_the_rows_of_an_unbroken_one(unbroken, tmp_path):
    folder = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        train(averages(seed=1), folder, COMPUTE, observers=[Samples(), Killer()], checkpoint_seconds=0)
    assert list(frames(folder)) == STEPS[:4]
    (folder / "samples" / "000020.png").write_bytes(b"torn")
    train(averages(seed=1), folder, None, observers=[Samples()], resume=True)
    assert frames(folder) == frames(unbroken)


def moment(task, folder):
    return Moment(task, Run(folder, lock=False), 8, 8, 1.0, 1.0, {})


def test_generators_mode_and_weights_are_as_they_were(tmp_path):
    task = Means(AdamW(1e-3)).train()
    state, before = torch.get_rng_state(), {name: value.clone() for name, value in task.state_dict().items()}
    Samples().after(moment(task, tmp_path))
    assert (tmp_path / "samples" / "000008.png").is_file()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(task.state_dict()[name], value) for name, value in before.items())
    assert task.training


@pytest.mark.parametrize("known", [None, 1, 3, 10])
def test_a_row_shows_the_classes_there_are_in_turn(known, tmp_path):
    task = Means(AdamW(1e-3), known)
    with torch.no_grad():
        task.mean.weight.copy_(torch.arange(10)[:, None].expand(10, 64) / 10)
    Samples().after(moment(task, tmp_path))
    row = np.asarray(Image.open(tmp_path / "samples" / "000008.png")).astype(float)
    found = [round(row[8:104, 8 + 104 * place : 104 + 104 * place].mean() / 25.5) for place in range(10)]
    assert found == [place % (known or 10) for place in range(10)]


def test_what_makes_nothing_is_passed_over(tmp_path):
    Samples().after(moment(tiny().task, tmp_path))
    Samples().after(Moment(Grey(), None, 8, 8, 1.0, 1.0, {}))
    Samples().after(Moment(Grey(), Run(tmp_path, lock=False), 3, 16, 1.0, 1.0, {}))  # not its turn
    assert not (tmp_path / "samples").exists()


def test_what_only_makes_pictures_has_no_sheet_of_answers(tmp_path):
    data, _ = pictures()
    assert sheet(Grey(), data.codec, data.test, tmp_path / "sheet.png") is None
    assert not (tmp_path / "sheet.png").exists()


class Copying(Shown):
    """It answers pictures, too."""

    answers = True

    def forward(self, x):
        return x


def test_what_also_answers_pictures_has_one(tmp_path):
    x = torch.rand(4, 1, 8, 8, generator=keyed.generator(0))
    data = Tensors(x=x, target=torch.zeros(4).long())
    assert sheet(Copying(x), PictureCodec(8, 8, 1), data, tmp_path / "sheet.png") == tmp_path / "sheet.png"


def test_the_report_shows_them_in_the_order_of_the_steps(tmp_path):
    folder = runs.folder(tmp_path / "run", runs.lines(), runs.scores())
    assert "Samples over the run" not in report(folder).read_text()
    (folder / "samples").mkdir()
    for step in (1_000_000, 5, 40):
        Image.new("L", (4, 4)).save(folder / "samples" / f"{step:06d}.png")
    (folder / "samples" / ".000050.png").write_bytes(b"unfinished")
    page = report(folder).read_text()
    places = [page.index(f"<figcaption>step {step}</figcaption>") for step in ("5", "40", "1,000,000")]
    assert places == sorted(places)
    assert page.count("data:image/png") == 3


def test_the_report_shows_what_a_judge_said(tmp_path):
    folder = runs.folder(tmp_path / "run", runs.lines(), runs.scores())
    figures = dict.fromkeys(("frechet", "precision", "recall", "density", "coverage"), 0.5)
    real = {f"{name}_real": 0.25 for name in figures}
    near = {"distance": 1.5, "distance_real": math.pi, "shown": []}
    said = {"judge": "runs/<b>", "count": 2000, "nearest": near, "judge_accuracy": 0.9375, **figures, **real}
    (folder / "judged.json").write_text(json.dumps(said))
    page = report(folder).read_text()
    assert "runs/&lt;b&gt;" in page
    assert "<td>–</td><td>0.9375</td>" in page  # no class could be asked for
    assert page.count("<td>0.5</td><td>0.25</td>") == 5
    assert "<td>1.5</td><td>3.142</td>" in page
    assert "Accuracy by class" not in page
    (folder / "judged.json").write_text(json.dumps(said | {"accuracy": 0.75, "by_class": {"T-shirt<": 0.75}}))
    Image.new("L", (4, 4)).save(folder / "samples.png")
    page = report(folder).read_text()
    assert "<td>0.75</td><td>0.9375</td>" in page
    assert "T-shirt&lt; 0.750" in page
    assert page.count("data:image/png") == 1

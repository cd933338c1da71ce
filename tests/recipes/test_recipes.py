"""Every recipe reaches a score on real data in seconds, travels, and answers."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, Noise, Tensors, datasets
from descend.data.datasets.people import ORL
from descend.data.datasets.table import read_table
from descend.engine import Compute, load, train
from descend.insight import report, sheet
from descend.recipes.cifar10 import airbench, cifar10
from descend.recipes.cifar10 import resnet as cifar_resnet
from descend.recipes.denoise import denoise
from descend.recipes.detect import anchored, dense, detect, detr
from descend.recipes.digits import digits
from descend.recipes.faces import faces
from descend.recipes.fashion import fashion, lenet, resnet
from descend.recipes.photos import IMAGENET, photos
from descend.recipes.segment import segment
from descend.recipes.superres import sharp, superres
from descend.recipes.table import table
from descend.recipes.vit import convolutions, light, patches, strong, vit
from descend.tasks import alike

HOME = Path(__file__).parents[2]


@pytest.mark.slow
def test_digits_reach_their_score_and_read_a_picture(tmp_path):
    result = train(digits(seed=0), tmp_path / "run")
    assert result.scores["test"]["accuracy"] >= 0.965
    assert load(result.folder).predict(HOME / "examples" / "seven.png")["label"] == "7"


@pytest.mark.slow
@pytest.mark.parametrize(("model", "least"), [(lenet, 0.65), (resnet, 0.5)])
def test_fashion_learns(model, least, tmp_path, real_data):
    result = train(fashion(model, batch=64, seed=0), tmp_path / "run", steps=60)
    assert result.scores["test"]["accuracy"] > least


@pytest.mark.slow
@pytest.mark.parametrize(("model", "least"), [(airbench, 0.4), (cifar_resnet, 0.25)])
def test_cifar10_learns(model, least, tmp_path, real_data):
    experiment = cifar10(model, batch=64, seed=0)
    for part in ("valid", "test"):  # asked less: answers of the mirrored picture, too, take most of the time
        setattr(experiment.data, part, Tensors(**getattr(experiment.data, part).gather(torch.arange(500)).tensors))
    result = train(experiment, tmp_path / "run", steps=60)
    assert result.scores["test"]["accuracy"] > least
    assert set(load(result.folder).predict(HOME / "examples" / "seven.png")) == {"label", "confidence", "top"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stem", "augment", "least"), [(patches, light, 0.4), (convolutions, light, 0.5), (convolutions, strong, 0.3)]
)
def test_vit_learns(stem, augment, least, tmp_path, real_data):
    result = train(vit(stem=stem, augment=augment, width=48, depth=2, batch=64, seed=0), tmp_path / "run", steps=100)
    assert result.scores["test"]["accuracy"] > least
    answer = load(result.folder).predict(HOME / "examples" / "seven.png")
    assert set(answer) == {"label", "confidence", "top"}


@pytest.mark.slow
def test_photos_start_from_imagenet(tmp_path):
    """Photographs of a few things, cut anywhere: a network that knows photographs needs ten of each."""
    from skimage import data as photographs

    draw = np.random.default_rng(0)
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        whole = Image.fromarray(getattr(photographs, name)())
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(20):
            left, top = (int(draw.integers(0, side - 160)) for side in whole.size)
            whole.crop((left, top, left + 160, top + 160)).save(tmp_path / "set" / name / f"{number}.jpg")
    experiment = photos(tmp_path / "set", IMAGENET, batch=8, epochs=5, workers=0, seed=0)
    result = train(experiment, tmp_path / "run")
    assert result.scores["test"]["accuracy"] >= 0.9
    assert load(result.folder).predict(tmp_path / "set" / "coffee" / "3.jpg")["label"] == "coffee"


def test_photos_may_all_be_learned_from(tmp_path):
    """Nothing chooses among epochs then: the last model is kept, and the report is written all the same."""
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (20, 20), (level + number,) * 3).save(tmp_path / "set" / name / f"{number}.png")
    result = train(photos(tmp_path / "set", size=16, batch=4, epochs=1, workers=0, held=0, seed=0), tmp_path / "run")
    assert "valid" not in result.scores
    assert result.scores["test"]["accuracy"] >= 0
    assert load(result.folder).predict(tmp_path / "set" / "dark" / "3.png")["label"] in {"dark", "light"}
    assert "accuracy" in report(result.folder).read_text()


@pytest.mark.slow
def test_membranes_are_found(tmp_path, real_data):
    """Better than calling all of it cell, which four of five pixels are."""
    result = train(segment(128, 96, (8, 16, 32), epochs=20, seed=0), tmp_path / "run")
    assert result.scores["test"]["accuracy"] > 0.8
    assert result.scores["test"]["dice"] > 0.5
    made = result.experiment
    with Image.open(sheet(made.task, made.codec, made.test, tmp_path / "sheet.png")) as drawn:
        assert drawn.width >= 3 * 128  # the picture, the truth, the answer


@pytest.mark.slow
@pytest.mark.parametrize("model", [dense, detr])
def test_detectors_learn_and_answer(model, tmp_path, real_data):
    """That boxes are found takes minutes; here the loss falls, the report shows them, and a photo is answered."""
    from descend.engine import Observer

    class Losses(Observer):
        def __init__(self):
            self.seen = []

        def after(self, moment):
            self.seen.append(moment.metrics["loss"].item())

    losses = Losses()
    experiment = detect(model, queries=anchored, batch=4, workers=0, seed=0)
    result = train(experiment, tmp_path / "run", steps=30, observers=[losses])
    assert sum(losses.seen[-5:]) < 0.8 * sum(losses.seen[:5])
    assert 0 <= result.scores["test"]["map50"] <= 1
    assert set(result.scores["by_class"]["ap50"]) == set(experiment.codec.labels)
    assert set(load(result.folder).predict(HOME / "examples" / "seven.png")) == {"boxes"}


@pytest.mark.slow
def test_faces_tells_strangers_apart(tmp_path, real_data):
    """Chance is 0.5. Who was learned is named, and two pictures of a stranger are more alike than two strangers'."""
    result = train(faces(seed=0), tmp_path / "run")
    assert result.scores["test"]["eer"] < 0.2
    assert result.scores["test"]["rank1"] > 0.85
    made, predictor = result.experiment, load(result.folder)
    with zipfile.ZipFile(ORL.find()) as archive:
        first, second, other = (
            archive.read(f"att_faces/{name}/{number}.pgm")
            for name, number in ((made.codec.labels[0], 1), (made.codec.labels[0], 2), (made.codec.others[-1], 1))
        )
    assert predictor.predict(first)["label"] == made.codec.labels[0]
    assert alike(predictor, first, second)["similarity"] > alike(predictor, first, other)["similarity"]
    with Image.open(sheet(made.task, made.codec, made.test, tmp_path / "sheet.png")) as drawn:
        assert drawn.width > 200


@pytest.mark.slow
def test_denoise_learns(tmp_path, real_data):
    """20.4 dB is the noise itself."""
    experiment = denoise(width=16, depth=2, patch=32, batch=16, steps=300, seed=0)
    experiment.data.test = datasets.Photos(dict(list(experiment.data.test.pictures.items())[:4]), Noise(25))
    result = train(experiment, tmp_path / "run")
    assert result.scores["test"]["psnr"] > 25
    answer = load(result.folder).predict(HOME / "examples" / "seven.png")
    assert {"width", "height", "png"} == set(answer)


@pytest.mark.slow
def test_superres_is_better_than_bicubic(tmp_path, real_data):
    """33.65 dB are the cubic curves' own."""
    result = train(superres(width=24, depth=3, patch=32, steps=150, seed=0), tmp_path / "run")
    assert result.scores["test"]["psnr"] > 34.2
    made = result.experiment
    sheet(made.task, made.codec, made.test, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


@pytest.mark.slow
def test_superres_plays_against_a_critic(tmp_path, real_data):
    result = train(superres(sharp, width=16, depth=2, patch=32, batch=8, steps=40, seed=0), tmp_path / "run")
    assert result.scores["test"]["psnr"] > 30
    assert load(result.folder).predict(HOME / "examples" / "seven.png")["width"] > 0


@pytest.mark.slow
def test_a_table_of_classes_answers_rows(tmp_path):
    datasets.write_generated(tmp_path / "orders.csv", rows=4000)
    result = train(table(tmp_path / "orders.csv", "late", seed=0), tmp_path / "run", steps=800)
    assert result.scores["test"]["accuracy"] > 0.75
    columns = read_table(tmp_path / "orders.csv")
    row = {name: values[0] for name, values in columns.items() if name != "late"}
    assert set(result.predictor.predict(row)) == {"label", "confidence", "top"}
    with pytest.raises(BadData, match="column 'weight' holds numbers, but 'heavy'"):
        result.predictor.predict({**row, "weight": "heavy"})
    with pytest.raises(BadData, match=r"column 'carrier' is missing; is it called 'carier'"):
        result.predictor.predict({("carier" if name == "carrier" else name): value for name, value in row.items()})


@pytest.mark.slow
def test_a_table_of_a_quantity_answers_in_its_own_unit(tmp_path):
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    names = [*bunch["feature_names"], "progression"]
    rows = [",".join(map(str, [*x, y])) for x, y in zip(bunch["data"], bunch["target"], strict=True)]
    (tmp_path / "diabetes.csv").write_text("\n".join([",".join(names), *rows]))
    result = train(table(tmp_path / "diabetes.csv", "progression", seed=0), tmp_path / "run")
    assert result.scores["test"]["r2"] > 0.3
    answer = result.predictor.predict(dict(zip(names, [*bunch["data"][0], None], strict=True)))
    assert 25 < answer["progression"] < 346


@pytest.mark.slow
@pytest.mark.parametrize("compute", [Compute(precision="bfloat16"), Compute(precision="float16"), Compute(micro=3)])
def test_precision_and_micro_batches_are_recorded_and_learn(compute, tmp_path):
    result = train(digits(epochs=8, seed=0), tmp_path / "run", compute)
    assert result.scores["test"]["accuracy"] > 0.93
    written = json.loads((result.folder / "run.json").read_text())["compute"]
    assert (written["precision"], written["micro"]) == (compute.settled().precision, compute.micro)

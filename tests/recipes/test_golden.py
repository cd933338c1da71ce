"""Golden curves: a refactor that should not change numbers does not.

`python -m tests.recipes.test_golden` makes them anew, which is right only after a change that was meant to change them.
"""

import json
import math
from pathlib import Path

import pytest

from descend.data import datasets
from descend.engine import Observer, fit, load
from descend.recipes.adding import adding
from descend.recipes.anomaly_pictures import anomaly_pictures
from descend.recipes.answer import answer
from descend.recipes.autoencoder import autoencoder
from descend.recipes.denoise import denoise
from descend.recipes.denoising_autoencoder import denoising_autoencoder
from descend.recipes.detect import dense, detect, detr, scratch
from descend.recipes.diffusion import diffusion
from descend.recipes.digits import digits
from descend.recipes.faces import faces
from descend.recipes.fashion import fashion, lenet, mlp, resnet
from descend.recipes.gan import gan
from descend.recipes.segment import segment
from descend.recipes.sentiment import sentiment
from descend.recipes.shakespeare import gpt, lstm, shakespeare
from descend.recipes.superres import superres
from descend.recipes.table import table
from descend.recipes.translate import translate
from descend.recipes.vae import vae
from descend.recipes.vit import convolutions, patches, vit
from descend.recipes.vq import vq

GOLDEN = Path(__file__).parents[1] / "golden"
CURVES = GOLDEN / "curves.json"


class _Curve(Observer):
    def __init__(self):
        self.losses = []

    def after(self, moment):
        self.losses.append(round(moment.metrics["loss"].item(), 6))


PICTURES = {
    "autoencoder": autoencoder,
    "denoising-autoencoder": denoising_autoencoder,
    "anomaly-pictures": anomaly_pictures,
    "vae": vae,
    "vq": vq,
    "gan": gan,
    "diffusion": diffusion,
}


def _experiment(name: str, folder: Path):
    if name in PICTURES:
        return PICTURES[name](batch=16, seed=0)
    if name == "digits":
        return digits(seed=0)
    if name == "table":
        datasets.write_generated(folder / "orders.csv", rows=1500)
        return table(folder / "orders.csv", "late", seed=0)
    if name == "segment":
        return segment(size=64, crop=48, seed=0)
    if name == "denoise":
        return denoise(depth=2, seed=0)
    if name == "superres":
        return superres(depth=2, seed=0)
    if name == "faces":
        return faces(size=56, width=16, seed=0)
    if name.startswith("detect"):
        return detect({"dense": dense, "detr": detr}[name.partition("-")[2]], scratch, batch=4, workers=0, seed=0)
    if name == "adding":
        return adding(length=20, hidden=16, seed=0)
    if name == "answer":
        return answer(1, seed=0)
    if name == "sentiment":
        return sentiment(seed=0)
    if name == "translate":
        return translate(vocabulary=1000, batch=32, seed=0)
    if name.startswith("shakespeare"):
        model = {"gpt": gpt, "lstm": lstm}[name.partition("-")[2]]
        return shakespeare(model, width=32, layers=2, length=32, seed=0)
    if name.startswith("vit"):
        return vit(stem={"patches": patches, "convolutions": convolutions}[name.partition("-")[2]], seed=0)
    return fashion({"mlp": mlp, "lenet": lenet, "resnet": resnet}[name.partition("-")[2]], seed=0)


def _curve(name: str, folder: Path) -> list[float]:
    experiment, curve = _experiment(name, folder), _Curve()
    fit(experiment.task, experiment.stream(), steps=8, seed=0, observers=[curve])
    return curve.losses


NAMES = ["digits", "table", "fashion-mlp", "fashion-lenet", "fashion-resnet"]
NAMES += ["vit-patches", "vit-convolutions", "segment", "denoise", "superres", "faces", "detect-dense", "detect-detr"]
NAMES += [*PICTURES, "adding", "answer", "sentiment", "translate", "shakespeare-gpt", "shakespeare-lstm"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_golden_curve(name, tmp_path, request):
    if name not in ("digits", "table"):
        request.getfixturevalue("real_data")
    assert _curve(name, tmp_path) == pytest.approx(json.loads(CURVES.read_text())[name], rel=2e-3)


def test_a_model_of_an_earlier_version_loads():
    """Written once, by version 0.1.0, and never again."""
    predictor = load(GOLDEN / "model-0.1.0")
    answer = predictor.predict(Path(__file__).parents[2] / "examples" / "seven.png")
    assert answer["label"] == "7"
    assert math.isclose(
        answer["confidence"], json.loads((GOLDEN / "model-0.1.0.json").read_text())["confidence"], abs_tol=2e-3
    )


if __name__ == "__main__":
    import tempfile

    CURVES.write_text(json.dumps({name: _curve(name, Path(tempfile.mkdtemp())) for name in NAMES}, indent=1) + "\n")

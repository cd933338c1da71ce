"""With shuffled training labels nothing can be learned: whatever then scores above chance leaks."""

from pathlib import Path

import pytest
import torch

from descend.data import datasets
from descend.engine import train
from descend.recipes.digits import digits
from descend.recipes.fashion import fashion
from descend.recipes.photos import photos
from descend.recipes.table import table


def _score(experiment, folder: Path, steps: int | None = None) -> dict:
    experiment.data = experiment.data.shuffled(1)
    return train(experiment, folder / "run", steps=steps).scores["test"]


@pytest.mark.slow
def test_digits(tmp_path):
    assert _score(digits(seed=1), tmp_path)["accuracy"] < 0.2


@pytest.mark.slow
def test_fashion(tmp_path, real_data):
    assert _score(fashion(epochs=2, seed=1), tmp_path)["accuracy"] < 0.15


@pytest.mark.slow
def test_a_class_in_a_table(tmp_path):
    datasets.write_generated(tmp_path / "orders.csv", rows=4000)
    experiment = table(tmp_path / "orders.csv", "late", seed=1)
    share = torch.bincount(experiment.data.test.tensors["target"]).max() / len(experiment.data.test)
    assert _score(experiment, tmp_path, 400)["accuracy"] < share + 0.05


@pytest.mark.slow
def test_a_quantity_in_a_table(tmp_path):
    datasets.write_generated(tmp_path / "orders.csv", rows=3000)
    assert _score(table(tmp_path / "orders.csv", "distance", seed=1), tmp_path, 400)["r2"] < 0.05


@pytest.mark.slow
def test_photos(tmp_path):
    _folder(tmp_path / "pictures")
    experiment = photos(tmp_path / "pictures", size=16, epochs=4, workers=0, seed=1)
    assert _score(experiment, tmp_path)["accuracy"] < 0.75


@pytest.mark.slow
def test_photos_with_their_own_labels(tmp_path):
    """The same pictures, so that the test above could fail."""
    _folder(tmp_path / "pictures")
    result = train(photos(tmp_path / "pictures", size=16, epochs=4, workers=0, seed=1), tmp_path / "run")
    assert result.scores["test"]["accuracy"] > 0.9
    answer = result.predictor.predict(tmp_path / "pictures" / "2" / "007.png")
    assert answer["label"] == "2"


def _folder(path: Path) -> None:
    """Digits 1 and 2 as picture files, two classes."""
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()
    for label in (1, 2):
        (path / str(label)).mkdir(parents=True)
        for number, picture in enumerate(bunch.images[bunch.target == label]):
            image = Image.fromarray((picture * 15.9).astype("uint8")).resize((32, 32))
            image.save(path / str(label) / f"{number:03d}.png")

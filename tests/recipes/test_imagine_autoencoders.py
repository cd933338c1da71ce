"""Recipes of autoencoders: each learns real pictures in seconds, travels and answers."""

from pathlib import Path

import pytest
import torch

from descend.data import Tensors
from descend.engine import Compute, load, train
from descend.recipes.anomaly_pictures import anomaly_pictures
from descend.recipes.autoencoder import autoencoder
from descend.recipes.denoising_autoencoder import denoising_autoencoder
from descend.recipes.vae import vae
from descend.recipes.vq import vq

SEVEN = Path(__file__).parents[2] / "examples" / "seven.png"
PLAIN = Compute().settled()


def trained(experiment, folder, steps, asked=500):
    """Some of the test pictures are asked, from all over: all would take most of the time."""
    test = experiment.data.test
    experiment.data.test = Tensors(**test.gather(torch.arange(asked) * (len(test) // asked)).tensors)
    return train(experiment, folder / "run", PLAIN, steps=steps)


@pytest.mark.slow
def test_autoencoder(tmp_path, real_data):
    """With 8 numbers; the mean picture alone errs by 0.087."""
    result = trained(autoencoder(8, (128,), seed=0), tmp_path, 250)
    assert result.scores["test"]["loss"] < 0.04
    assert set(load(result.folder).predict(SEVEN)) == {"width", "height", "png"}


@pytest.mark.slow
def test_denoising_autoencoder(tmp_path, real_data):
    """The noisy pictures have 12.8 dB."""
    result = trained(denoising_autoencoder(hidden=(256,), width=64, seed=0), tmp_path, 250)
    assert result.scores["test"]["psnr"] > 15.5
    assert set(load(result.folder).predict(SEVEN)) == {"width", "height", "png"}


@pytest.mark.slow
def test_anomalies_of_one_kind(tmp_path, real_data):
    """Trousers look like nothing else."""
    result = trained(anomaly_pictures(1, seed=0), tmp_path, 80)
    assert result.scores["test"]["auroc"] > 0.95
    answer = load(result.folder).predict(SEVEN)
    assert set(answer) == {"odd", "normal", "scores"}
    assert answer["odd"]


@pytest.mark.slow
def test_anomalies_of_each_kind_in_turn(tmp_path, real_data):
    result = trained(anomaly_pictures(hidden=64, batch=16, seed=0), tmp_path, 80)
    assert result.scores["test"]["auroc"] > 0.8
    assert len(result.scores["each"]) == 10


@pytest.mark.slow
def test_vae(tmp_path, real_data):
    """Pixels drawn by their own mean brightness, place by place, have -385 nats."""
    experiment = vae(8, (256,), seed=0)
    experiment.task.draws = 4
    result = trained(experiment, tmp_path, 250, 200)
    assert result.scores["test"]["iwae"] > result.scores["test"]["elbo"] > -320
    assert load(result.folder).task.sample(3).shape == (3, 1, 28, 28)


@pytest.mark.slow
def test_vq(tmp_path, real_data):
    """As above."""
    result = trained(vq(16, 4, (8, 16), 16, batch=64, seed=0), tmp_path, 120, 200)
    assert result.scores["test"]["elbo"] > -365
    predictor = load(result.folder)
    assert predictor.task.sample(3).shape == (3, 1, 28, 28)
    assert set(predictor.predict(SEVEN)) == {"width", "height", "png"}

"""The recipe of the GAN learns on real pictures in seconds, by each of its games, and what it makes travels."""

import pytest
import torch

from descend.data import Batch, Tensors, datasets
from descend.engine import evaluate, load, train
from descend.metrics import sliced_wasserstein
from descend.recipes.gan import gan, hinge, nonsaturating, wasserstein

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("game", [nonsaturating, wasserstein, hinge])
def test_clothes_come_nearer_to_real_ones(game, tmp_path, real_data):
    """And those of a class to that class: trousers, asked for, are nearer to trousers than boots are."""
    experiment = gan(game, batch=32, seed=0)
    few = Tensors(**experiment.data.test.gather(torch.arange(500)).tensors)
    experiment.data.test = few
    before = evaluate(experiment.task, few).scores["distance"]
    result = train(experiment, tmp_path / "run", steps=80)
    assert result.scores["test"]["distance"] < 0.85 * before
    assert set(result.scores["test"]) == {"distance", "real", "made"}
    task, test = load(result.folder).task, datasets.fashion_pictures().test.tensors
    trousers, boots = (task.sample(200, 1, Batch(target=torch.full((200,), number))) for number in (1, 9))
    real = test["x"][test["target"] == 1][:200]
    assert sliced_wasserstein(trousers, real) < sliced_wasserstein(boots, real)

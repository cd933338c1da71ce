"""The recipe of diffusion learns on real pictures in seconds, by each network, and what it makes travels."""

import pytest
import torch

from descend.cli.main import main
from descend.data import Batch, Tensors
from descend.engine import evaluate, load, train
from descend.recipes.diffusion import diffusion, dit, unet
from descend.tasks import Flow, StraightSchedule, Velocity, Way

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("network", "objective"), [(unet, Velocity()), (dit, Velocity()), (unet, Flow())])
def test_noise_is_seen_through(network, objective, tmp_path, real_data, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    straight = {"schedule": StraightSchedule()} if isinstance(objective, Flow) else {}
    experiment = diffusion(network, objective, batch=32, seed=0, **straight)
    few = Tensors(**experiment.data.test.gather(torch.arange(200)).tensors)
    experiment.data.test = few
    before = evaluate(experiment.task, few).scores["loss"]
    result = train(experiment, tmp_path / "run", steps=50)
    assert result.scores["test"]["loss"] < 0.6 * before
    task = load(result.folder).task
    asked, way = Batch(target=torch.tensor([1, 1, 8])), Way(steps=2)
    torch.testing.assert_close(task.sample(3, 1, asked, way), experiment.task.sample(3, 1, asked, way))
    assert main(["sample", str(result.folder), "--n", "2", "--class", "boot", "--steps", "2", "--out", "b.png"]) == 0
    assert main(["sample", str(result.folder), "--class", "boots"]) == 2
    assert "Ankle boot" in capsys.readouterr().err

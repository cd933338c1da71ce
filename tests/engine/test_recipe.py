"""A recipe: signature, seed, provenance, and an experiment made again from run.json."""

import shutil
from pathlib import Path

import pytest
import torch

from descend.data import Loader
from descend.engine import Experiment, Observer, Stop, UsageError, find_recipe, recipe, resume, train
from descend.engine.recipe import rebuild
from descend.engine.run import read_description
from descend.models import MLP
from descend.optim import SGD
from tests.engine.pages import Line, network, points

PAGE = Path(__file__).with_name("pages.py")


def test_the_seed_keys_initialisation_and_leaves_the_generator_alone():
    page = find_recipe(PAGE)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = page(seed=3), page(seed=3), page(seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    same, differs = (
        [torch.equal(a, b) for a, b in zip(first.task.parameters(), e.task.parameters(), strict=True) if a.ndim > 1]
        for e in (again, other)
    )
    assert all(same)
    assert not any(differs)


def test_an_experiment_is_made_again_from_what_was_written():
    page = find_recipe(PAGE)
    kind = page.choices["kind"]["counts"]
    experiment = page(steps=7, kind=kind, seed=2)
    written = experiment.provenance.describe()
    assert written["arguments"] == {"steps": 7, "lr": 0.05, "kind": "counts"}
    other, warning = rebuild(written)
    assert warning == ""
    assert type(other.task).__name__ == "TwoCounts"
    assert other.steps == 7
    assert all(torch.equal(a, b) for a, b in zip(experiment.task.parameters(), other.task.parameters(), strict=True))


def test_a_page_that_was_changed_is_said(tmp_path):
    page = tmp_path / "page.py"
    shutil.copy(PAGE, page)
    written = find_recipe(page)().provenance.describe()
    page.write_text(page.read_text() + "\n")
    assert "was changed since this run began" in rebuild(written)[1]


def test_a_choice_that_does_not_exist_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'counts'"):
        find_recipe(PAGE).choices["kind"]["count"]


def test_no_recipe_several_recipes_no_file(tmp_path):
    with pytest.raises(UsageError, match="there is no recipe file"):
        find_recipe(tmp_path / "missing.py")
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(UsageError, match="no function under @recipe"):
        find_recipe(tmp_path / "empty.py")
    with pytest.raises(UsageError, match="no recipe 'lime'; it has line"):
        find_recipe(PAGE, "lime")


def test_epochs_or_steps():
    with pytest.raises(UsageError, match="one of them"):
        Experiment(Line(network(), SGD(0.1)), Loader(points(), 16))
    with pytest.raises(UsageError, match="epochs=-1, steps=None: give 0 or more"):
        Experiment(Line(network(), SGD(0.1)), Loader(points(), 16), epochs=-1)
    assert Experiment(Line(network(), SGD(0.1)), Loader(points(), 16), epochs=0).length(Loader(points(), 16)) == 0
    with pytest.raises(TypeError, match="takes `seed` itself"):
        recipe(lambda seed=0: None)


def test_training_into_a_folder_and_resuming_it(tmp_path):
    page = find_recipe(PAGE)
    whole = train(page(seed=1), tmp_path / "whole", steps=30)
    assert whole.step == 30
    assert sorted(p.name for p in whole.folder.iterdir() if p.name[0] != ".") == [
        "checkpoints",
        "metrics.jsonl",
        "model",
        "run.json",
        "scores.json",
    ]
    train(page(seed=1), tmp_path / "half", steps=30, observers=[_StopAt(11)])
    description = read_description(tmp_path / "half")
    assert description["recipe"]["arguments"]["kind"] == "plain"
    assert resume(tmp_path / "half").step == 11  # stopped is stopped
    with pytest.raises(UsageError, match="already holds a run"):
        train(page(seed=1), tmp_path / "half")
    with pytest.raises(UsageError, match="holds no run"):
        resume(tmp_path)


def test_an_experiment_without_a_recipe_says_how_to_resume(tmp_path):
    model = MLP(6, 16, out=2)
    train(Experiment(Line(model, SGD(0.1)), Loader(points(), 16), steps=5), tmp_path / "run")
    with pytest.raises(UsageError, match="resume=True"):
        resume(tmp_path / "run")
    again = train(
        Experiment(Line(MLP(6, 16, out=2), SGD(0.1)), Loader(points(), 16), steps=9), tmp_path / "run", resume=True
    )
    assert again.step == 9


class _StopAt(Observer):
    def __init__(self, step: int):
        self.step = step

    def after(self, moment):
        if moment.step == self.step:
            raise Stop("enough")

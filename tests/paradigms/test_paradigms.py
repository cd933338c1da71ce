"""One engine carries every paradigm: each page is short, reaches its score, and ends with the same bits however often
it is killed; and each of these proofs fails on a page with a mistake planted in it."""

import ast
import inspect
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import jaxtyping
import pytest

from descend.engine import Compute, Recipe, Task, train
from tests.killing import Page, differing, killed, unbroken
from tests.paradigms import bilevel, byol, detect, dqn, federated, gan, planted, private, sharp, wgan

SEEDS = 5


@dataclass(frozen=True)
class Paradigm:
    """A page, the score that each seed must reach, and how it is run."""

    page: ModuleType
    least: float
    compute: dict = field(default_factory=dict)


PARADIGMS = {
    "gan": Paradigm(gan, 0.8),
    "wgan_asked_to_compile": Paradigm(wgan, 0.75, {"compile": True}),
    "byol": Paradigm(byol, 0.15),
    "dqn": Paradigm(dqn, 1.0),
    "bilevel": Paradigm(bilevel, 0.9),
    "federated": Paradigm(federated, 0.94),
    "private": Paradigm(private, 0.88),
    "sharp": Paradigm(sharp, 0.95),
    "detect": Paradigm(detect, 0.8),
}
CHEAP = ("dqn", "bilevel", "sharp")
MISTAKES = {
    "gan": planted.unfrozen,
    "wgan_asked_to_compile": planted.slack,
    "byol": planted.still,
    "dqn": planted.stale,
    "bilevel": planted.one_level,
    "federated": planted.last_word,
    "detect": planted.boxless,
}
"""Those that cost the score. The mistakes of rules are in test_rules.py."""
FORGOTTEN = {"gan": "own_noise", "byol": "outside", "dqn": "forgetful"}
"""Those that cost the exact resume."""

every = pytest.mark.parametrize("name", PARADIGMS)


@pytest.fixture(autouse=True)
def _unchecked_where_long(request: pytest.FixtureRequest) -> Iterator[None]:
    """The long trainings run without the shape checker, which would take as long again: the cheap ones run under it."""
    before = jaxtyping.config.jaxtyping_disable
    if request.node.get_closest_marker("slow"):
        jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def reached(name: str, recipe: Recipe, seed: int, folder: Path) -> float:
    """Train and score."""
    paradigm = PARADIGMS[name]
    experiment = recipe(seed=seed)
    train(experiment, folder, Compute(threads=1, **paradigm.compute).settled())
    score = paradigm.page.score(experiment.task.eval())
    print(f"{name} seed {seed}: {score:.4f}")
    return score


@every
def test_a_paradigm_takes_less_than_sixty_lines_and_no_part_of_the_engine(name):
    page = PARADIGMS[name].page
    tree = ast.parse(inspect.getsource(page))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    tasks = [node for node in classes if issubclass(getattr(page, node.name), Task)]
    assert sum((node.end_lineno or 0) - node.lineno + 1 for node in tasks) < 60
    rooms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    rooms = [room for room in rooms if room.startswith("descend")]
    assert rooms
    assert all(room.count(".") == 1 for room in rooms), "a page uses what packages export, nothing inside them"


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_a_cheap_paradigm_reaches_its_score(name, tmp_path):
    assert reached(name, PARADIGMS[name].page.page, 0, tmp_path / "run") >= PARADIGMS[name].least


@pytest.mark.slow
@every
def test_every_seed_reaches_the_score(name, tmp_path):
    found = [reached(name, PARADIGMS[name].page.page, seed, tmp_path / str(seed)) for seed in range(SEEDS)]
    print(f"{name}: {statistics.mean(found):.4f} ± {statistics.stdev(found):.4f}, least {min(found):.4f}")
    assert min(found) >= PARADIGMS[name].least
    if name == "federated":
        central = [reached(name, federated.central, seed, tmp_path / f"central{seed}") for seed in range(SEEDS)]
        assert all(apart > together - 0.02 for apart, together in zip(found, central, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_costs_the_score(name, tmp_path):
    assert reached(name, MISTAKES[name], 0, tmp_path / "run") < PARADIGMS[name].least


@pytest.mark.slow
@every
def test_killed_three_times_equals_unbroken(name, tmp_path):
    paradigm = PARADIGMS[name]
    page = Page(Path(inspect.getfile(paradigm.page)), seed=1, compute=paradigm.compute)
    steps = unbroken(page, tmp_path / "unbroken")
    print(f"{name}: killed at {killed(page, tmp_path / 'killed', steps)} of {steps} steps")
    assert differing(tmp_path / "unbroken", tmp_path / "killed") == []
    for run in ("unbroken", "killed"):
        notes = json.loads((tmp_path / run / "run.json").read_text())["compute"]["notes"]
        if paradigm.compute:
            (note,) = notes
            assert "fell back to eager mode" in note
            assert "double backward" in note
        else:
            assert notes == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGOTTEN)
def test_what_a_checkpoint_forgets_shows(name, tmp_path):
    page = Page(Path(planted.__file__), FORGOTTEN[name], seed=1)
    steps = unbroken(page, tmp_path / "unbroken")
    killed(page, tmp_path / "killed", steps)
    assert "tensors" in differing(tmp_path / "unbroken", tmp_path / "killed")


@pytest.mark.slow
def test_compilation_that_works_is_not_said_to_fall_back(tmp_path):
    train(gan.page(steps=2), tmp_path / "run", Compute(threads=1, compile=True))
    (note,) = json.loads((tmp_path / "run" / "run.json").read_text())["compute"]["notes"]
    assert note == "torch.compile: compiled"

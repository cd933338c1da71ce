"""Ways between samples, and from noise to them: what is drawn, and of which tasks."""

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import Batch, Tensors
from descend.insight import report, ways
from descend.models import MLP, CaptionCondition, ClassCondition, ConvCritic, ConvGenerator, DiT, MLPDecoder
from descend.optim import AdamW
from descend.tasks import DDIM, GAN, VAE, Diffusion, Way
from tests.insight import runs
from tests.insight.makers import Grey

SHAPE = (1, 8, 8)


def vae(width=3):
    return VAE(MLP(64, 16, out=2 * width), MLPDecoder(width, 16, shape=SHAPE), AdamW(1e-3))


def gan(classes=4):
    networks = ConvGenerator(SHAPE, 5, classes), ConvCritic(SHAPE, classes)
    return GAN(*networks, AdamW(1e-3), AdamW(1e-3), SHAPE, 5, classes)


def diffusion(condition=None):
    return Diffusion(DiT(1, 16, 1, 2, patch=4), AdamW(1e-3), SHAPE, condition, way=Way(DDIM(), 4))


def data():
    kept = torch.ones(9, 2, dtype=torch.bool)
    return Tensors(x=torch.rand(9, *SHAPE), words=torch.randn(9, 2, 6), kept=kept, target=torch.arange(9) % 4)


def tiles(path):
    """Rows and columns of a sheet of pictures of 96 a side, 8 apart."""
    width, height = Image.open(path).size
    return (height - 8) // 104, (width - 8) // 104


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        (vae, {"between": (5, 10), "traversed": (3, 10)}),
        (lambda: vae(17), {"between": (5, 10)}),
        (gan, {"between": (5, 10)}),
        (diffusion, {"between": (5, 10), "unfolded": (5, 4)}),
        (lambda: diffusion(ClassCondition(4, 16)), {"between": (5, 10), "unfolded": (5, 4)}),
        (lambda: diffusion(CaptionCondition(6, 16)), {"between": (5, 10), "unfolded": (5, 4)}),
    ],
)
def test_each_way_that_a_task_has_is_drawn(task, wanted, tmp_path):
    ways(task(), data(), tmp_path / "ways")
    assert {path.stem: tiles(path) for path in (tmp_path / "ways").iterdir()} == wanted


def test_what_makes_nothing_of_noise_has_none(tmp_path):
    ways(Grey(), data(), tmp_path / "ways")
    assert not (tmp_path / "ways").exists()


@pytest.mark.parametrize("task", [vae, lambda: gan(None), diffusion])
def test_a_way_begins_and_ends_with_samples(task):
    task = task()
    way, ends = task.walk(6, seed=3), task.sample(2, seed=3)
    assert way.shape == (6, *SHAPE)
    assert torch.allclose(way[[0, -1]], ends, atol=1e-6)
    # The ends differ, and no step is a jump: the way is longer than its longest step.
    apart = (way[1:] - way[:-1]).flatten(1).norm(dim=1)
    assert apart.max() < 0.7 * apart.sum()


def test_all_of_a_way_show_what_is_asked():
    task = gan()
    for weight in task.generator.parameters():
        torch.nn.init.normal_(weight, std=0.1)  # the classes begin alike
    asked = torch.full((2,), 3)
    made = task.sample(2, 1, Batch(target=asked))
    assert torch.allclose(task.walk(4, 1, Batch(target=asked[:1]))[[0, -1]], made, atol=1e-6)
    assert not torch.allclose(task.walk(4, 1)[[0, -1]], made, atol=1e-3)


def test_the_arc_keeps_the_length_of_noise():
    task = vae(1000)
    seen = []
    task.decoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    task.walk(9)
    lengths = seen[0].norm(dim=1)
    assert torch.allclose(lengths, torch.full((9,), 1000.0).sqrt(), rtol=0.1)


def test_two_ends_need_two_steps():
    with pytest.raises(ValueError, match=r"1 steps .* give 2 or more"):
        vae().walk(1)
    with pytest.raises(ValueError, match="asked has 2 rows"):
        gan().walk(4, asked=Batch(target=torch.tensor([0, 1])))
    with pytest.raises(ValueError, match="-1 pictures"):
        vae().sample(-1)


def test_a_way_of_captions_is_of_the_captions_there_are():
    task, held = diffusion(CaptionCondition(6, 16)), data()
    asked = task.asking(5, held)
    assert asked is not None
    rows = [(held.tensors["words"] == words).flatten(1).all(1).nonzero().item() for words in asked["words"]]
    assert len(set(rows)) == 5
    assert task.asking(5) is None
    few = held.gather(torch.arange(2))
    assert len(task.asking(5, Tensors(**few.tensors))["words"]) == 5  # again from the first


def test_the_report_shows_them(tmp_path):
    folder = runs.folder(tmp_path / "run", runs.lines(), runs.scores())
    assert "<h2>Ways" not in report(folder).read_text()
    ways(vae(), data(), folder / "ways")
    page = report(folder).read_text()
    assert page.index("from one sample to another") < page.index("one picture of the test split")
    assert page.count("data:image/png") == 2
    assert np.asarray(Image.open(folder / "ways" / "between.png")).std() > 0

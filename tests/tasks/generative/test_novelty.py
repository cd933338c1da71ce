"""Novelty: each kind by its own network, scores by hand, answers that say what is odd."""

import pytest
import torch
from PIL import Image

from descend.data import Batch, Loader, NoveltyCodec, PictureCodec, Splits, Tensors, datasets
from descend.engine import Predictor, evaluate, fit, load
from descend.functional import keyed
from descend.insight import sheet
from descend.models import MLPDecoder
from descend.optim import AdamW
from descend.tasks import Novelty

LABELS = ("lying", "upright", "slanting")


def stripes(n=300, key=1):
    """Of three directions, 8×8."""
    target = torch.arange(n) % 3
    phase = 6 * torch.rand(n, generator=keyed.generator(key))
    at = torch.arange(8).float()
    along = torch.stack([at[:, None].expand(8, 8), at.expand(8, 8), at[:, None] + at])[target]
    x = 0.5 + 0.4 * torch.sin(1.2 * along + phase[:, None, None])
    return Tensors(x=x[:, None], target=target)


def data():
    return Splits(stripes(), None, stripes(90, 2), PictureCodec(8, 8, 1, LABELS), "stripes")


def made(kinds=3):
    keyed.reseed(0)
    return Novelty(tuple(MLPDecoder(64, 32, shape=(1, 8, 8)) for _ in range(kinds)), AdamW(1e-2))


@pytest.mark.slow
@pytest.mark.parametrize("normal", [None, 1])
def test_it_tells_what_is_odd_and_travels(normal, tmp_path):
    splits = datasets.novelty(data(), normal)
    task = made(1 if normal is not None else 3)
    fit(task, Loader(splits.train, 32), steps=150)
    found = evaluate(task, splits.test)
    assert found.scores["auroc"] > 0.95
    assert len(found.tables.get("each", [1])) == len(task.networks)
    codec = task.complete(splits.codec, splits)
    predictor = load(Predictor(task.eval(), codec).save(tmp_path / "model"))
    x = stripes(3, 5).tensors["x"]
    lying, upright, _ = predictor.predict(list(x))
    assert (upright["odd"], upright["normal"]) == (False, ["upright"])
    assert lying["odd"] == (normal == 1)
    assert lying["normal"] == ([] if normal == 1 else ["lying"])
    # 95 of 100 training pictures stay below the limit.
    scores = predictor.outputs(x=splits.train.tensors["x"])
    own = scores.gather(1, splits.train.tensors["target"][:, None])[:, 0]
    below = own <= torch.tensor(predictor.codec.limits)[splits.train.tensors["target"]]
    assert below.float().mean() == pytest.approx(0.95, abs=0.02)
    with Image.open(sheet(task, codec, splits.test, tmp_path / "sheet.png")) as drawn:
        assert drawn.width > 96


def test_a_score_is_the_mean_squared_change():
    task, x = made(), stripes(4).tensors["x"]
    expected = torch.stack([(network(x) - x).square().mean((1, 2, 3)) for network in task.networks], 1)
    torch.testing.assert_close(task(x), expected)


def test_each_kind_teaches_its_own_network_alone():
    task = made()
    x = stripes(30).tensors["x"]
    task.loss(Batch(x=x, target=torch.full((30,), 2))).value().backward()
    moved = [any(bool(p.grad.any()) for p in network.parameters()) for network in task.networks]
    assert moved == [False, False, True]


def test_the_loss_is_the_error_of_what_was_noisy():
    """A network that gives its input back errs by the noise: σ²."""

    class Same(MLPDecoder):
        def forward(self, code):
            return code + 0 * super().forward(code)

    task = Novelty((Same(64, shape=(1, 8, 8)), Same(64, shape=(1, 8, 8))), AdamW(1e-3), sigma=0.3)
    batch = Batch(x=torch.rand(500, 1, 8, 8), target=torch.arange(500) % 2)
    assert task.loss(batch).value().item() == pytest.approx(0.09, rel=0.03)
    assert float(task(batch["x"]).abs().max()) == 0


def test_one_class_is_learned_from_and_the_others_are_asked():
    found = datasets.novelty(data(), 1)
    assert found.train.tensors["target"].unique().tolist() == [0]
    assert torch.equal(found.train.tensors["x"], stripes().tensors["x"][1::3])
    assert torch.equal(found.test.tensors["target"], (stripes(90, 2).tensors["target"] != 1).long())
    assert found.codec.kinds == ("upright",)
    every = datasets.novelty(data())
    assert torch.equal(every.train.tensors["target"], stripes().tensors["target"])
    assert every.codec.kinds == LABELS
    with pytest.raises(ValueError, match="has no class 3: 0 … 2 are lying"):
        datasets.novelty(data(), 3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"a target is 0 … 2, and there are 2 kinds"):
        made(2).loss(Batch(**stripes(6).tensors))
    with pytest.raises(ValueError, match=r"1×9×8 .* made for 1×8×8"):
        made().predict(x=torch.rand(2, 1, 9, 8))
    with pytest.raises(ValueError, match="of 4 samples 0 are to be found"):
        evaluate(made(1), Tensors(x=torch.rand(4, 1, 8, 8), target=torch.zeros(4, dtype=torch.int64)))


def test_the_codec_answers_in_shares_of_its_limits():
    codec = NoveltyCodec(8, 8, 1, ("a", "b"), (2.0, 1.0))
    answer = codec.decode(torch.tensor([1.0, 0.8]))
    assert answer == {"odd": False, "normal": ["a", "b"], "scores": {"a": 0.5, "b": 0.8}}
    assert codec.decode(torch.tensor([3.0, 1.5])) == {"odd": True, "normal": [], "scores": {"a": 1.5, "b": 1.5}}
    x = torch.rand(1, 8, 8)
    assert codec.draw({"x": x}, torch.tensor(0), torch.tensor([1.0, 2.0])).size == (96, 124)
    unknown = NoveltyCodec(8, 8, 1)
    assert unknown.draw({"x": x}, torch.tensor(0), torch.tensor([1.0])) is None
    with pytest.raises(ValueError, match="knows no limits"):
        unknown.decode(torch.tensor([1.0]))
    with pytest.raises(ValueError, match="1 limits of 2 kinds"):
        NoveltyCodec(8, 8, 1, ("a", "b"), (1.0,))

"""Classify, Segment and Regress: units, metrics, and that they learn."""

import pytest
import torch

from descend.data import BadData, Batch, Loader, Tensors
from descend.engine import evaluate, fit
from descend.functional import keyed
from descend.models import MLP, UNet
from descend.nn import GroupNorm
from descend.optim import AdamW
from descend.tasks import Classify, Regress, Segment


def _numbers(n=400):
    x = torch.randn(n, 3, generator=keyed.generator(1))
    return x, torch.stack([100 + 20 * x[:, 0] - 5 * x[:, 1], 3 * x[:, 2].square()], 1)


def test_classify_gives_probabilities_and_counts():
    x = torch.randn(300, 4, generator=keyed.generator(2))
    data = Tensors(x=x, target=(x[:, 0] > 0).long() + (x[:, 1] > 1).long())
    task = Classify(MLP(4, 16, out=3), AdamW(1e-2), label_smoothing=0.05)
    fit(task, Loader(data, 50), steps=150)
    found = evaluate(task, data)
    assert found.scores["accuracy"] > 0.95
    confusion = torch.tensor(found.tables["confusion"])
    assert confusion.sum() == 300
    assert confusion.diagonal().sum().item() / 300 == pytest.approx(found.scores["accuracy"])
    torch.testing.assert_close(task.predict(x=x).sum(1), torch.ones(300))
    smooth, plain = task.loss(Batch(x=x, target=data.gather(torch.arange(300))["target"])).value(), found.scores["loss"]
    assert smooth > plain  # what is reported is the plain cross-entropy


def test_class_weights_move_the_boundary():
    x = torch.randn(400, 1, generator=keyed.generator(3))
    noisy = (x[:, 0] + torch.randn(400, generator=keyed.generator(4)) > 1).long()
    counts = []
    for weights in (None, (1.0, 10.0)):
        keyed.reseed(0)
        task = Classify(MLP(1, 8, out=2), AdamW(1e-2), class_weights=weights)
        fit(task, Loader(Tensors(x=x, target=noisy), 100), steps=100)
        counts.append(int(task.predict(x=x).argmax(1).sum()))
    assert counts[1] > 2 * counts[0]


@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_in_a_file_that_no_class_has_is_named(label, weights):
    task = Classify(MLP(4, out=3), AdamW(1e-2), label_smoothing=0.1, class_weights=weights)
    batch = Batch(x=torch.ones(4, 4), target=torch.tensor([0, 2, label, 1]), index=torch.arange(10, 14))
    message = f"label {label} of sample 12 is out of range: the model answers for 3 classes, so a label is 0 … 2"
    with pytest.raises(BadData, match=message):
        task.loss(batch)
    with pytest.raises(BadData, match=message):
        task.evaluate(batch, task.metrics())


@pytest.mark.slow
def test_regress_speaks_the_targets_own_units():
    x, y = _numbers()
    mean, std = tuple(y.mean(0).tolist()), tuple(y.std(0).tolist())
    keyed.reseed(0)
    task = Regress(MLP(3, 32, out=2), AdamW(1e-2), mean, std)
    data = Tensors(x=x, target=y)
    assert evaluate(task, data).scores["rmse"] > 10
    fit(task, Loader(data, 50), steps=400)
    found = evaluate(task, data, batch=7)
    truth = (task.predict(x=x) - y).square().mean().sqrt().item()
    assert found.scores["rmse"] == pytest.approx(truth, rel=1e-4)
    assert found.scores["rmse"] < 1.5
    assert found.scores["r2"] > 0.99
    assert task.predict(x=x).mean(0)[0] == pytest.approx(mean[0], abs=1)


def test_regress_takes_targets_without_an_axis():
    x, y = _numbers()
    task = Regress(MLP(3, 8, out=1), AdamW(1e-2), (100.0,), (20.0,))
    flat = evaluate(task, Tensors(x=x, target=y[:, 0])).scores
    assert flat == evaluate(task, Tensors(x=x, target=y[:, :1])).scores


@pytest.mark.slow
def test_quantiles_cover_what_they_say():
    x = torch.randn(2000, 1, generator=keyed.generator(5))
    y = x[:, 0] + 2 * torch.randn(2000, generator=keyed.generator(6))
    keyed.reseed(0)
    task = Regress(MLP(1, 16, out=3), AdamW(1e-2), (0.0,), (2.0,), quantiles=(0.1, 0.5, 0.9))
    fit(task, Loader(Tensors(x=x, target=y), 200), steps=300)
    low, middle, high = task.predict(x=x)[:, 0].unbind(1)
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert ((y >= low) & (y <= high)).float().mean().item() == pytest.approx(0.8, abs=0.05)
    assert (y < middle).float().mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("wrong", [{"quantiles": (0.5, 1.0)}, {"quantiles": ()}, {"std": (0.0,)}, {"mean": (1.0, 2.0)}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=r"quantiles are|one number a target"):
        Regress(MLP(1, 2, out=1), AdamW(1e-2), **wrong)


def blobs(n=48, size=16):
    """Noise, brighter by one inside a rectangle, which is class 1."""
    x = 0.5 * torch.randn(n, 1, size, size, generator=keyed.generator(5))
    target = torch.zeros(n, size, size, dtype=torch.int64)
    corners = torch.randint(0, size // 2, (n, 2), generator=keyed.generator(6)).tolist()
    for row, (top, left) in enumerate(corners):
        target[row, top : top + size // 2, left : left + size // 2] = 1
    return Tensors(x=x + target[:, None], target=target)


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 2])
def test_segment_finds_places(outputs):
    data = blobs()
    task = Segment(UNet(1, outputs, (8, 16), GroupNorm(4)), AdamW(1e-2))
    fit(task, Loader(data, 12), steps=60)
    found = evaluate(task, data)
    assert found.scores["dice"] > 0.9
    assert found.scores["accuracy"] > 0.95
    assert found.scores["iou"] > 0.85
    probabilities = task.predict(x=data.tensors["x"])
    assert probabilities.shape == (48, 2, 16, 16)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(48, 16, 16))


def test_segment_may_be_split_into_micro_batches():
    from descend.engine import Compute

    weights = []
    for micro in (1, 3):
        keyed.reseed(0)
        task = Segment(UNet(1, 2, (4, 8), GroupNorm(2)), AdamW(1e-2))
        fit(task, Loader(blobs(), 12), steps=3, compute=Compute("cpu", micro=micro).settled())
        weights.append(torch.cat([p.detach().flatten() for p in task.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ValueError, match="dice is -1"):
        Segment(UNet(1, 2, (4, 8)), AdamW(1e-2), dice=-1)


@pytest.mark.slow
def test_classify_learns_from_shares():
    x = torch.eye(3)
    shares = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6]])
    task = Classify(MLP(3, 32, out=3), AdamW(1e-2))
    fit(task, Loader(Tensors(x=x, target=shares), 3), steps=400)
    torch.testing.assert_close(task.predict(x=x), shares, atol=0.02, rtol=0)

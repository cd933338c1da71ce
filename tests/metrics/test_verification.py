"""Verification and identification: on cases worked out by hand, and against scikit-learn's curves."""

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from descend.functional import keyed
from descend.metrics import Identification, Rates, Verification


def rates(genuine, impostor):
    similarity = torch.tensor([*genuine, *impostor], dtype=torch.float32)
    return Rates.of(similarity, torch.arange(len(similarity)) < len(genuine))


def test_the_curve_by_hand():
    found = rates([0.9, 0.8, 0.4], [0.6, 0.4, 0.2, 0.1])
    assert found.similarity.tolist() == pytest.approx([math.inf, 0.9, 0.8, 0.6, 0.4, 0.2, 0.1])
    assert (found.false * 4).tolist() == pytest.approx([0, 0, 0, 1, 2, 3, 4])
    assert (found.true * 3).tolist() == pytest.approx([0, 1, 2, 2, 3, 3, 3])
    # From 0.6 on a quarter is wrongly accepted and a third wrongly refused, from 0.4 on a half and nothing; on the
    # line between, both are equal at a quarter of the way: 1/4 + 1/4·1/4 and 1/3 - 1/3·1/4 … at share 1/7.
    assert found.equal_error.item() == pytest.approx(1 / 4 + 1 / 4 * 1 / 7)
    assert found.threshold.item() == pytest.approx((0.6 + 0.4) / 2)
    assert found.area.item() == pytest.approx((4 + 4 + 2.5) / 12)  # pairs of pairs in the right order, a tie half
    assert found.true_at(0.0).item() == pytest.approx(2 / 3)
    assert found.true_at(0.5).item() == 1


def test_who_is_told_apart_wholly():
    found = rates([0.9, 0.7], [0.3, 0.1, -0.5])
    assert found.equal_error == 0
    assert found.threshold.item() == pytest.approx(0.5)
    assert found.area == 1
    assert found.true_at(0.0) == 1


def test_who_is_not_told_apart_at_all():
    found = rates([0.5, 0.5], [0.5, 0.5, 0.5])
    assert found.equal_error == 0.5
    assert found.area == 0.5
    assert found.threshold == 0.5
    upside_down = rates([0.1, 0.2], [0.8, 0.9])
    assert upside_down.equal_error == 1
    assert upside_down.area == 0
    assert math.isfinite(upside_down.threshold)


@pytest.mark.parametrize("steps", [0, 7])
def test_against_scikit_learn(steps):
    """Also of similarities that tie often."""
    draw = keyed.generator(3, steps)
    alike = torch.rand(3000, generator=draw) < 0.1
    similarity = torch.randn(3000, generator=draw) + 1.5 * alike
    if steps:
        similarity = (similarity * 2).round() / steps
    found = Rates.of(similarity, alike)
    false, true, thresholds = roc_curve(alike, similarity, drop_intermediate=False)
    torch.testing.assert_close(found.false, torch.tensor(false).float())
    torch.testing.assert_close(found.true, torch.tensor(true).float())
    torch.testing.assert_close(found.similarity, torch.tensor(thresholds).float())
    assert found.area.item() == pytest.approx(roc_auc_score(alike, similarity), abs=1e-6)
    # Where the curve meets 1 - x: asked of a fine grid of it.
    grid = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    on_it = torch.tensor([*__import__("numpy").interp(grid, false, true)])
    assert found.equal_error.item() == pytest.approx(grid[(1 - grid <= on_it).nonzero()[0]].item(), abs=1e-5)
    accepted, least = similarity >= found.threshold, (found.false - (1 - found.true)).abs().min()
    errors = accepted[~alike].float().mean() - (~accepted[alike]).float().mean()
    assert errors.abs().item() == pytest.approx(least.item(), abs=1e-6)


ANGLES = torch.tensor([0.0, 10.0, 95.0, 100.0, 180.0]) * torch.pi / 180
EMBEDDING = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
TARGET = torch.tensor([4, 4, 7, 4, 2])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_embeddings_of_any_length_in_batches_of_any_size(size):
    verification, identification = Verification(), Identification()
    for rows in torch.arange(5).split(size):
        for metric in (verification, identification):
            metric.update(EMBEDDING[rows] * (1 + rows)[:, None], TARGET[rows])
    # Pairs of class 4: 10°, 90° and 100° apart. Of two classes: 5°, 80°, 85°, 85°, 95°, 170°, 180°.
    found = verification.compute()
    assert found["eer"].item() == pytest.approx(4 / 7)  # from 85° on, 4 of 7; 2 of 3 are refused until 90°
    assert found["auc"].item() == pytest.approx((6 + 3 + 2) / 21)
    assert found["tar"].item() == 0
    # Of class 4, only the two 10° apart are each other's nearest; the other classes have one sample and are not asked.
    assert identification.compute().item() == pytest.approx(2 / 3)


def test_what_cannot_be_asked_is_refused():
    for target in (torch.arange(5), torch.zeros(5).long()):
        metric = Verification()
        metric.update(EMBEDDING, target)
        with pytest.raises(ValueError, match=r"of 10 pairs (0|10) are of one class: to verify takes two samples"):
            metric.compute()
    metric = Identification()
    metric.update(EMBEDDING, torch.arange(5))
    with pytest.raises(ValueError, match="of 5 samples no two are of one class"):
        metric.compute()

"""AUROC against scikit-learn's, also where scores are equal or large."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from descend.metrics import AUROC, MeanAUROC


@pytest.mark.parametrize(
    "change",
    [lambda s: s, lambda s: s.round(), lambda s: 1000 + 100 * s],
    ids=["as they are", "in whole numbers", "far off"],
)
def test_it_is_scikit_learns(change):
    found = torch.rand(200, 3) < torch.tensor([0.1, 0.5, 0.9])
    scores = change(torch.randn(200, 3) + found.float())
    expected = [roc_auc_score(found[:, i], scores[:, i]) for i in range(3)]
    each, mean = AUROC(), MeanAUROC()
    for metric in (each, mean):
        for rows in torch.arange(200).split(70):
            metric.update(scores[rows], found[rows])
    assert each.compute().tolist() == pytest.approx(expected, abs=1e-6)
    assert mean.compute().item() == pytest.approx(sum(expected) / 3, abs=1e-6)


def test_one_kind_alone_is_refused():
    metric = AUROC()
    metric.update(torch.rand(5, 1), torch.ones(5, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match="of 5 samples 5 are to be found"):
        metric.compute()

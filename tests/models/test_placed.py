"""An embedding that reads places: what moves, is not the same."""

import pytest
import torch

from descend.functional import keyed
from descend.models import Backbone, Placed, ResNet
from descend.nn import GroupNorm


def made():
    keyed.reseed(0)
    return Placed(Backbone(ResNet(1, 4, (1, 1), (4, 8), GroupNorm(2)), (0, 1)), (1, 16, 12), 5)


def test_it_is_one_linear_map_of_the_standardised_last_map():
    model, x = made(), torch.randn(6, 1, 16, 12, generator=keyed.generator(1))
    maps = model.backbone(x)[-1].flatten(1)
    standard = (maps - maps.mean(0)) / (maps.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(model(x), standard @ model.head.weight.T, rtol=1e-4, atol=1e-4)
    rows = model.head.weight @ model.head.weight.T
    torch.testing.assert_close(rows, torch.eye(5), rtol=1e-4, atol=1e-4)


def test_places_count():
    model = made().eval()
    x = torch.randn(1, 1, 16, 12, generator=keyed.generator(1))
    moved = torch.cat([x[:, :, 8:], x[:, :, :8]], 2)  # the lower half above the upper one
    assert not torch.allclose(model(x), model(moved), atol=1e-2)


def test_it_begins_where_a_class_spreads_alike_in_all_directions():
    generator = keyed.generator(3)
    target = torch.arange(40) % 8
    kinds = torch.randn(8, 1, 16, 12, generator=generator)
    x = kinds[target] + 0.5 * torch.randn(40, 1, 16, 12, generator=generator)
    model = made().train()
    model.begin(x[:, None], target, shrink=0.0)
    assert model.training
    found = model.eval()(x)
    within = found - torch.stack([found[target == kind].mean(0) for kind in range(8)])[target]
    torch.testing.assert_close(within.T @ within / 40, torch.eye(5), rtol=1e-3, atol=1e-3)
    model.begin(x[:, None], target, shrink=1e4)  # the mean spread drowns that of each direction
    rows = model.head.weight @ model.head.weight.T
    torch.testing.assert_close(rows / rows[0, 0], torch.eye(5), rtol=1e-3, atol=1e-3)


def test_it_begins_by_the_mean_of_views():
    x, target = torch.randn(20, 2, 1, 16, 12, generator=keyed.generator(4)), torch.arange(20) % 4
    model = made()
    model.begin(x, target, shrink=0.0)
    found = (model.eval()(x[:, 0]) + model(x[:, 1])) / 2
    within = found - torch.stack([found[target == kind].mean(0) for kind in range(4)])[target]
    torch.testing.assert_close(within.T @ within / 20, torch.eye(5), rtol=1e-3, atol=1e-3)


def test_too_few_pictures_to_begin_with():
    with pytest.raises(ValueError, match="4 pictures cannot tell 5 directions apart"):
        made().begin(torch.randn(4, 1, 1, 16, 12), torch.arange(4))
    with pytest.raises(ValueError, match="one picture of each class"):
        made().begin(torch.randn(6, 1, 1, 16, 12), torch.arange(6))

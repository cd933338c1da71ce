"""An embedding that reads places: what moves, is not the same."""

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

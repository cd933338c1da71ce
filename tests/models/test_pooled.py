"""What is in a picture, wherever it is: a linear probe of a frozen network."""

import torch

from descend.functional import keyed
from descend.models import Backbone, Maps, Pooled, ResNet
from descend.nn import GroupNorm


def made(dropout=0.0):
    keyed.reseed(0)
    return Pooled(Maps(Backbone(ResNet(1, 4, (1, 1), (4, 8), GroupNorm(2)), (1,))), 8, 5, dropout)


def test_it_is_one_linear_map_of_the_standardised_mean_over_places():
    model, x = made(), torch.randn(6, 1, 16, 12, generator=keyed.generator(1))
    means = model.maps(x).mean((2, 3))
    standard = (means - means.mean(0)) / (means.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(model(x), standard @ model.head.weight.T, rtol=1e-4, atol=1e-4)


def test_only_the_linear_map_learns_and_its_dropout_is_seen():
    model, x = made(0.5), torch.randn(6, 1, 16, 12, generator=keyed.generator(1))
    model(x).sum().backward()
    assert {name for name, one in model.named_parameters() if one.grad is not None} == {"head.weight", "head.bias"}
    assert not torch.allclose(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))

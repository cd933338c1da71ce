"""Networks that restore: against their formulas with copied weights, and pictures of any size."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from descend.functional import bicubic, keyed
from descend.models import EDSR, Backbone, DnCNN, Maps, MobileNet, PatchCritic, Stage
from descend.nn import BatchNorm, GroupNorm


def shaken(model):
    draw = keyed.generator(5)
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return model.double()


def pictures(*shape):
    return torch.randn(*shape, generator=keyed.generator(3), dtype=torch.float64)


def gradients(model, out):
    return torch.autograd.grad((out * out).sum(), list(model.parameters()))


def plain_dncnn(model, x):
    """Layer by layer, from the weights by their order."""
    first, second, *rest = model.parameters()
    *between, last, bias = rest
    x = functional.conv2d(x, first, second, padding=1).relu()
    for weight, scale, shift in zip(between[::3], between[1::3], between[2::3], strict=True):
        x = functional.conv2d(x, weight, padding=1)
        x = functional.batch_norm(x, None, None, scale, shift, training=True).relu()
    return functional.conv2d(x, last, bias, padding=1)


def test_dncnn():
    model, x = shaken(DnCNN(2, 6, 5)), pictures(3, 2, 9, 11)
    out, expected = model(x), x - plain_dncnn(model, x)
    torch.testing.assert_close(out, expected)
    for one, other in zip(gradients(model, out), gradients(model, expected), strict=True):
        torch.testing.assert_close(one, other)


def test_a_folded_dncnn_sees_interleaved_pictures():
    model, x = shaken(DnCNN(1, 6, 4, fold=2)), pictures(3, 1, 8, 12)
    parts = torch.cat([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)
    noise = plain_dncnn(model, parts)
    expected = x.clone()
    for place in range(4):
        expected[:, 0, place // 2 :: 2, place % 2 :: 2] -= noise[:, place]
    torch.testing.assert_close(model(x), expected)


def test_published_sizes():
    with torch.device("meta"):
        # Zhang et al. 2017: 17 convolutions of 64 channels; only the first and the last have biases.
        assert sum(p.numel() for p in DnCNN().parameters()) == 640 + 15 * (64 * 64 * 9 + 128) + 577
        # Lim et al. 2017, the baseline, but for its layers at the full size and the one behind the blocks.
        network = EDSR()
    blocks = 16 * 2 * (64 * 64 * 9 + 64)
    assert sum(p.numel() for p in network.parameters()) == 1792 + blocks + 12 * (64 * 9 + 1)


def test_super_resolution():
    model, x = shaken(EDSR(2, 3, 6, 2)), pictures(2, 2, 5, 7)
    first, bias, *between, last, shift = model.parameters()
    h = start = functional.conv2d(x, first, bias, padding=1)
    for one, a, other, b in zip(*(between[i::4] for i in range(4)), strict=True):
        inner = functional.conv2d(h, one, a, padding=1).relu()
        h = h + functional.conv2d(inner, other, b, padding=1)
    added = functional.conv2d(start + h, last, shift, padding=1)
    expected = bicubic(x, 15, 21)
    for place in range(9):
        expected[:, :, place // 3 :: 3, place % 3 :: 3] += added[:, place::9]
    out = model(x)
    torch.testing.assert_close(out, expected)
    for one, other in zip(gradients(model, out), gradients(model, expected), strict=True):
        torch.testing.assert_close(one, other)


def test_an_untrained_network_changes_little():
    x = torch.rand(2, 3, 16, 16, generator=keyed.generator(1))
    assert (DnCNN(3)(x) - x).abs().max() < 0.2
    assert (EDSR(3, 2)(x) - bicubic(x, 32, 32)).abs().max() < 0.2


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 6), (33, 18)])
def test_pictures_of_any_size_are_taken(size):
    x = torch.rand(2, 3, *size, generator=keyed.generator(1))
    for fold in (1, 2, 4):
        model = DnCNN(3, 4, 3, GroupNorm(2), fold).eval()
        assert model(x).shape == x.shape
        assert model(x).isfinite().all()
    assert EDSR(3, 4, 4, 1)(x).shape == (2, 3, 4 * size[0], 4 * size[1])
    assert PatchCritic(3, (4, 6))(x).shape[:2] == (2, 1)


def test_a_padded_picture_is_as_one_that_fits():
    """Of an odd picture, the rows that a fold of 2 adds repeat its edge."""
    model = DnCNN(1, 6, 4, BatchNorm(), 2).eval()
    nn.init.normal_(model.head.weight, std=0.1)
    x = torch.rand(2, 1, 7, 9, generator=keyed.generator(1))
    wide = functional.pad(x, (0, 1, 0, 1), mode="replicate")
    torch.testing.assert_close(model(x), model(wide)[:, :, :7, :9])


def test_maps_are_what_the_first_blocks_give_and_do_not_learn():
    network = MobileNet(3, 5, (Stage(8), Stage(12, 1, 2)), 8, 16)
    maps = Maps(Backbone(network, (1,)), (0.5,) * 3, (0.25,) * 3)
    x = torch.rand(2, 3, 16, 16, generator=keyed.generator(1)).requires_grad_()
    expected = network.body[:2].eval()((x - 0.5) / 0.25)
    assert torch.equal(maps.train()(x), expected)
    maps(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in maps.parameters())
    assert len(list(maps.parameters())) < len(list(network.parameters()))

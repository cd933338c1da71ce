"""Convolution blocks against their formulas, and what they refuse."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from descend.functional import keyed
from descend.nn import (
    BatchNorm,
    ConvBlock,
    ConvStem,
    FeaturePyramid,
    GroupNorm,
    InvertedResidual,
    PatchEmbed,
    SqueezeExcite,
    UpBlock,
    separable_block,
)


def draw(*shape, key=0):
    return torch.randn(*shape, generator=keyed.generator(key), dtype=torch.float64)


def test_a_separable_block_is_two_convolutions_of_few_weights():
    block = separable_block(8, 16, stride=2).double().eval()
    depthwise, pointwise = block[0][0].weight, block[1][0].weight
    assert depthwise.shape == (8, 1, 3, 3)
    assert pointwise.shape == (16, 8, 1, 1)
    x = draw(2, 8, 10, 10)
    y = functional.relu(block[0][1](functional.conv2d(x, depthwise, stride=2, padding=1, groups=8)))
    torch.testing.assert_close(block(x), functional.relu(block[1][1](functional.conv2d(y, pointwise))))


def test_squeeze_and_excite_is_the_papers():
    """Hu et al. 2018, equations 2 to 4."""
    block = SqueezeExcite(6, 3).double()
    first, second = block.gate[0], block.gate[2]
    x = draw(2, 6, 4, 5).requires_grad_()
    z = x.mean((2, 3))
    hidden = torch.relu(z @ first.weight[:, :, 0, 0].T + first.bias)
    s = torch.sigmoid(hidden @ second.weight[:, :, 0, 0].T + second.bias)
    torch.testing.assert_close(block(x), x * s[:, :, None, None])


@pytest.mark.parametrize(("stride", "channels", "adds"), [(1, 4, True), (2, 4, False), (1, 6, False)])
def test_an_inverted_residual_adds_where_it_can(stride, channels, adds):
    block = InvertedResidual(4, channels, 3, stride=stride, norm=GroupNorm(2)).double()
    x = draw(2, 4, 8, 8)
    expected = block.body(x) + (x if adds else 0)
    torch.testing.assert_close(block(x), expected)
    assert len(InvertedResidual(4, 4, 1).body) == 2
    assert [type(layer).__name__ for layer in InvertedResidual(4, 4, squeeze=2).body] == [
        "ConvBlock",
        "ConvBlock",
        "SqueezeExcite",
        "ConvBlock",
    ]


def test_dilation_reaches_further_and_keeps_the_size():
    block = ConvBlock(1, 1, norm=GroupNorm(1), dilation=3).double()
    x = torch.zeros(1, 1, 15, 15, dtype=torch.float64)
    x[0, 0, 7, 7] = 1.0
    seen = block[0](x)[0, 0].nonzero() - 7
    assert sorted({abs(int(v)) for v in seen.flatten()}) == [0, 3]
    assert block(x).shape == x.shape


def test_a_pyramid_is_the_papers():
    """Lin et al. 2017, figure 3: sides, upwards by the nearest, added, smoothed; also where sizes are odd."""
    block = FeaturePyramid((4, 6, 8), 5).double()
    maps = [draw(2, 4, 11, 13), draw(2, 6, 6, 7, key=1), draw(2, 8, 3, 4, key=2)]
    top = block.sides[2](maps[2])
    middle = block.sides[1](maps[1]) + functional.interpolate(top, (6, 7))
    bottom = block.sides[0](maps[0]) + functional.interpolate(middle, (11, 13))
    for found, expected, smooth in zip(block(maps), (bottom, middle, top), block.smooth, strict=True):
        torch.testing.assert_close(found, smooth(expected))
    with pytest.raises(ValueError, match="2 maps came in, made for 3"):
        block(maps[:2])


def test_up_blocks_double():
    block = UpBlock(8, 4, 6, GroupNorm(2), axes=3)
    assert block(torch.ones(2, 8, 2, 3, 4), torch.ones(2, 4, 4, 6, 8)).shape == (2, 6, 4, 6, 8)


def test_patches_are_linear_maps_of_squares():
    embed = PatchEmbed(3, 7, 4).double()
    x = draw(2, 3, 8, 12)
    squares = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(3)
    expected = squares @ embed.map.weight.flatten(1).T + embed.map.bias
    torch.testing.assert_close(embed(x), expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (PatchEmbed(3, 8, 16), "PatchEmbed: pictures of 30×50 are not made of squares of 16×16: .* to 32×48"),
        (ConvStem(3, 8, (4, 4)), "ConvStem: pictures of 30×50 are not made of squares of 4×4: .* to 32×48"),
    ],
    ids=["patches", "stem"],
)
def test_pictures_that_do_not_fit_are_refused(block, words):
    with pytest.raises(ValueError, match=words):
        block(torch.ones(1, 3, 30, 50))


def test_the_last_convolution_of_each_size_halves_it():
    stem = ConvStem(3, 8, (4, 6), depth=2)
    made = [(block[0].in_channels, block[0].out_channels, block[0].stride[0]) for block in stem.body]
    assert made == [(3, 4, 1), (4, 4, 2), (4, 6, 1), (6, 6, 2)]


def test_a_norm_for_other_axes_is_refused():
    with pytest.raises(ValueError, match=r"batch, place, place, place\]|channels, place, place, place\]"):
        ConvBlock(3, 4, norm=BatchNorm(), axes=3)
    assert isinstance(ConvBlock(3, 4, norm=BatchNorm(3), axes=3)[0], nn.Conv3d)

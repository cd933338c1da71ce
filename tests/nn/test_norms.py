"""Norms stand where they normalise what they say; elsewhere they are refused, and the message helps."""

import pytest
import torch

from descend.nn import (
    BatchNorm,
    ConvBlock,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LinearBlock,
    ReLU,
    RMSNorm,
    glu,
    swiglu,
)

SUITS = {
    BatchNorm(0): {0},
    BatchNorm(1): {1},
    BatchNorm(): {2},
    BatchNorm(3): {3},
    LayerNorm(): {0},
    RMSNorm(): {0},
    GroupNorm(2): {0, 1, 2, 3},
    InstanceNorm(): {1, 2, 3},
}


@pytest.mark.parametrize("norm", SUITS, ids=repr)
@pytest.mark.parametrize("axes", [0, 1, 2, 3])
def test_what_suits_has_the_shape_and_keeps_channels_apart_from_places(norm, axes):
    """Shuffled places give shuffled outputs; a norm over the last axis would not see channels at all."""
    assert norm.suits(axes) == (axes in SUITS[norm])
    if not norm.suits(axes):
        return
    x = torch.randn(5, 4, *[6] * axes)  # as many places as a mistaken norm could take for channels: none
    out = norm(4).train()(x)
    assert out.shape == x.shape
    assert out.abs().sum() > 1
    if axes:
        torch.testing.assert_close(norm(4).train()(x.flip(-1)), out.flip(-1))


@pytest.mark.parametrize("norm", [BatchNorm(), InstanceNorm()], ids=repr)
def test_a_norm_for_pictures_is_refused_by_a_linear_block(norm):
    with pytest.raises(ValueError, match=r"does not normalise \[batch, width\]: give BatchNorm\(axes=0\)"):
        LinearBlock(4, 8, ReLU(), norm)


@pytest.mark.parametrize("norm", [BatchNorm(axes=0), LayerNorm(), RMSNorm()], ids=repr)
def test_a_norm_for_rows_is_refused_by_a_convolution_block(norm):
    """Of pictures as wide as there are channels, it would silently normalise the lines."""
    with pytest.raises(ValueError, match=r"or GroupNorm\(1\) for a layer norm of the whole picture"):
        ConvBlock(3, 8, norm=norm)


def test_a_gate_stands_on_the_channels():
    assert ConvBlock(3, 8, activation=glu(1))(torch.randn(2, 3, 6, 6)).shape == (2, 8, 6, 6)
    assert LinearBlock(3, 8, glu())(torch.randn(2, 5, 3)).shape == (2, 5, 8)
    with pytest.raises(ValueError, match=r"channels are axis 1: Gated\(…, dim=1\)"):
        ConvBlock(3, 8, activation=swiglu())
    with pytest.raises(ValueError, match=r"its last axis: Gated\(…, dim=-1\)"):
        LinearBlock(3, 8, swiglu(1))
    with pytest.raises(ValueError, match="its length must be even, not 5"):
        glu()(torch.randn(2, 5))


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="no middle; give an odd one, 3 or 5"):
        ConvBlock(3, 8, kernel=4)

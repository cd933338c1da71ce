"""Cubic curves against their formula, place by place."""

import math

import pytest
import torch

from descend.functional import bicubic, keyed


def curve(t):
    """Keys 1981, eq. 4 with a = -1/2."""
    t = abs(t)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def matrix(length, new):
    """What each new place takes from each old one; wider where the picture shrinks."""
    step = length / new
    wide = max(step, 1.0)
    rows = [[curve((old + 0.5 - (place + 0.5) * step) / wide) for old in range(length)] for place in range(new)]
    weights = torch.tensor(rows, dtype=torch.float64)
    return weights / weights.sum(1, keepdim=True)


@pytest.mark.parametrize(("height", "width"), [(6, 7), (12, 14), (24, 42), (4, 5), (12, 7)])
def test_the_formula(height, width):
    x = torch.randn(2, 3, 12, 14, generator=keyed.generator(1), dtype=torch.float64)
    expected = torch.einsum("ah,bw,nchw->ncab", matrix(12, height), matrix(14, width), x)
    torch.testing.assert_close(bicubic(x, height, width), expected)


def test_its_own_size_changes_nothing_and_half_precision_keeps_its_type():
    x = torch.rand(1, 1, 5, 6, generator=keyed.generator(1))
    torch.testing.assert_close(bicubic(x, 5, 6), x)
    small = bicubic(x.bfloat16(), 3, 3)
    assert small.dtype == torch.bfloat16
    torch.testing.assert_close(small.float(), bicubic(x, 3, 3), atol=0.02, rtol=0)


def test_a_gradient_passes():
    x = torch.rand(1, 1, 6, 6, generator=keyed.generator(2), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: bicubic(x, 12, 9), x)
    assert math.isclose(bicubic(torch.ones(1, 1, 4, 4), 9, 9).sum().item(), 81, rel_tol=1e-5)

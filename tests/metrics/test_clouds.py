"""Distances between clouds of points against closed forms."""

import math

import pytest
import torch

from descend.functional import keyed
from descend.metrics import SlicedWasserstein, sliced_wasserstein


def cloud(n, *shape, key=1):
    return torch.randn(n, *shape, generator=keyed.generator(key))


def test_on_a_line_it_is_the_distance_of_sorted_points():
    """Between normal numbers N(0, 1) and N(m, s²) that is √(m² + (s - 1)²)."""
    made, real = cloud(200, 1), 3 + 2 * cloud(200, 1, key=2)
    closed = (made[:, 0].double().sort().values - real[:, 0].double().sort().values).square().mean().sqrt()
    torch.testing.assert_close(sliced_wasserstein(made, real).double(), closed, rtol=1e-5, atol=0)
    made, real = cloud(50_000, 1), 3 + 2 * cloud(50_000, 1, key=2)
    assert sliced_wasserstein(made, real, 1).item() == pytest.approx(math.sqrt(10), rel=0.01)


def test_a_shift_is_seen_by_its_share_along_each_line():
    """E[(θ · m)²] = ‖m‖² / axes."""
    made, shift = cloud(50, 2, 3), cloud(1, 2, 3, key=3)
    expected = shift.norm() / math.sqrt(6)
    torch.testing.assert_close(sliced_wasserstein(made, made + shift, 20_000), expected, rtol=0.02, atol=0)
    assert sliced_wasserstein(made, made[torch.randperm(50)]) < 1e-6


def test_it_is_gathered_over_batches_and_depends_on_the_seed_alone():
    made, real = cloud(60, 4), 2 * cloud(60, 4, key=2)
    metric = SlicedWasserstein()
    for rows in (slice(0, 7), slice(7, 60)):
        metric.update(made[rows], real[rows])
    assert metric.count == 60
    torch.testing.assert_close(metric.compute(), sliced_wasserstein(made, real))
    assert sliced_wasserstein(made, real, seed=1) != sliced_wasserstein(made, real)


def test_unlike_numbers_are_refused():
    with pytest.raises(ValueError, match="5 points were made and 4 are real: give as many of each"):
        sliced_wasserstein(cloud(5, 2), cloud(4, 2))

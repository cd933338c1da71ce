"""Curves lie where their numbers say."""

import math
import re

import pytest

from descend.insight.charts import BOTTOM, HEIGHT, POINTS, TOP, Curve, bar, chart, heat, number, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 240, [0, 50, 100, 150, 200, 250]),
        (0.98, 0.99, [0.98, 0.982, 0.984, 0.986, 0.988, 0.99]),
        (-3, 3, [-4, -2, 0, 2, 4]),
    ],
)
def test_ticks_are_round_and_enclose(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.001, "0.001"), (12000, "12k"), (3e-5, "3e-05"), (2.5e6, "2.5M"), (0, "0")]
)
def test_numbers_are_short(value, expected):
    assert number(value) == expected


def heights(svg: str) -> list[float]:
    return [float(point.split(",")[1]) for points in re.findall(r'points="([^"]+)"', svg) for point in points.split()]


def test_a_linear_curve_spans_its_axis():
    found = heights(chart("t", [Curve("a", [(0, 0.0), (5, 0.5), (10, 1.0)])]))
    assert found == pytest.approx([HEIGHT - BOTTOM, (HEIGHT - BOTTOM + TOP) / 2, TOP])


def test_a_wide_range_is_drawn_logarithmically():
    svg = chart("t", [Curve("a", [(0, 1.0), (5, 0.1), (10, 0.01)])])
    assert "logarithmic" in svg
    first, middle, last = heights(svg)
    assert middle - first == pytest.approx(last - middle, abs=0.11)


def test_a_value_of_zero_keeps_the_axis_linear():
    assert "logarithmic" not in chart("t", [Curve("a", [(0, 1.0), (5, 0.001), (10, 0.0)])])


def test_one_point_and_a_flat_curve_are_drawn():
    assert 'class="dot' in chart("t", [Curve("a", [(3, 2.0)])])
    assert len(heights(chart("t", [Curve("a", [(0, 2.0), (1, 2.0)])]))) == 2


def test_a_gap_where_a_value_is_not_finite():
    svg = chart("t", [Curve("a", [(0, 1.0), (1, 2.0), (2, math.nan), (3, 1.0), (4, 2.0)])])
    assert svg.count("<polyline") == 2
    assert "nan" not in svg


def test_long_curves_are_thinned_and_keep_their_end():
    svg = chart("t", [Curve("a", [(i, float(i)) for i in range(10_000)])])
    assert svg.count("<circle") <= POINTS + 1
    assert "at 9,999" in svg


def test_nothing_to_draw():
    assert chart("t", [Curve("a", [])]) == ""
    assert bar({"a": 0.0}, "s") == ""


def test_a_bar_sums_to_the_whole():
    widths = re.findall(r"width:([\d.]+)%", bar({"a": 1.0, "b": 3.0, "c": -0.1}, "s"))
    assert [float(w) for w in widths] == [25, 75, 0]


def test_heat_shades_by_share_of_the_row():
    html = heat([[3, 1], [0, 0]], ["x", "y"])
    assert "--s:50%" in html  # √(1/4)
    assert "75%" in html
    assert "–" in html  # a class without a sample has no recall

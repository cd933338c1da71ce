"""Columns at their edges: kinds of numpy and pandas, gaps of every spelling, values that hardly fit a float."""

import math
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pytest

from descend.data import BadData, Category, Date, Number
from descend.data.codecs.column import find_column, to_days, to_numbers, to_text


@pytest.mark.parametrize(
    "gap",
    [None, "", "  ", "NA", "n/a", "NaN", "null", "None", "?", "-", "NaT", math.nan, np.float32("nan")],
)
def test_every_gap_is_one(gap):
    assert to_text(gap) is None
    assert np.isnan(to_numbers("x", [gap])).all()
    assert np.isnan(to_days("x", [gap])).all()
    assert Category("x", ("a",)).encode([gap]).tolist() == [0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (3.0, "3"),
        (np.float32(3), "3"),
        (np.float64(3), "3"),
        (np.int16(3), "3"),
        (3.5, "3.5"),
        (np.float32(3.5), "3.5"),
        (" a b ", "a b"),
        (True, "True"),
        (np.bool_(True), "True"),
        (np.datetime64("2024-01-02"), "2024-01-02"),
    ],
)
def test_one_value_has_one_text_whoever_gives_it(value, text):
    assert to_text(value) == text


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "u2", "i8"])
def test_arrays_of_any_kind_are_numbers(kind):
    values = np.arange(40).astype(kind)
    column = find_column("x", values)
    assert isinstance(column, Number)
    assert np.allclose(column.encode(values), Number.fit("x", list(range(40))).encode(list(range(40))), atol=1e-6)


def test_numbers_in_other_clothes():
    column = Number.fit("x", [1, 2, 3, 4])
    found = column.encode(["2", " 2 ", 2, 2.0, Decimal("2.0"), "2e0", np.int64(2)])
    assert len({row[0] for row in found.tolist()}) == 1
    for value in ("two", "2 kg", "1,5", [1], {}):
        with pytest.raises(BadData, match=r"column 'x' holds numbers, but .* in row 2 is none: correct it, or leave"):
            column.encode([1, value])


def test_days_of_numpy_with_gaps_are_a_date():
    days = np.array(["2024-01-01", "NaT", "2024-03-01"] * 5, dtype="datetime64[D]")
    for values in (days, days.astype("datetime64[ns]"), [None if np.isnat(d) else d.astype(date) for d in days]):
        column = find_column("x", values)
        assert isinstance(column, Date)
        assert column.gaps
        assert column.span == 60
        assert np.allclose(column.encode([days[0], date(2024, 1, 1), datetime(2024, 1, 1)]), column.encode(days[:1]))


@pytest.mark.parametrize("most", [1e-300, 1.0, 1e15, 1e300])
def test_numbers_of_any_size_stay_finite_and_in_order(most):
    values = np.linspace(-most, most, 41)
    found = Number.fit("x", values).encode([*values, -3 * most, 3 * most])[:, 0]
    assert np.isfinite(found).all()
    assert (np.diff(found[:41]) > 0).all()
    assert found[41] < found[0] < found[40] < found[42]


@pytest.mark.filterwarnings("ignore:overflow")  # a reach of infinity is as good as any
def test_the_largest_floats_are_no_nan():
    found = Number.fit("x", [-1.7e308, 0.0, 1.0, 1.7e308]).encode([1.79e308, -1.79e308, 0.5])
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["a"] * 30, "it holds one value only"),
        (["", None, "NA"] * 10, "it is empty"),
        (["7", " 7 ", ""] * 10, "it holds one value only"),
        (np.full(30, np.nan), "it is empty"),
        (np.full(30, 2.5), "it holds one value only"),
        ([f"N{i}" for i in range(30)], "nearly every row holds another text, so it says which row it is"),
    ],
)
def test_what_is_left_out_and_why(values, why):
    assert str(find_column("x", values)).startswith(why)


@pytest.mark.parametrize("values", [["1,5", "-2,25", "3", ""] * 10, ["1,234", "12,345,678.5"] * 10])
def test_numbers_with_commas_are_not_guessed(values):
    with pytest.raises(BadData, match=r"column 'x' writes its numbers with commas \('.*,.*'\): write a point before"):
        find_column("x", values)


def test_few_texts_are_categories_though_all_differ():
    assert find_column("x", ["red", "green", "blue"] * 10) == Category.fit("x", ["red", "green", "blue"] * 10)
    assert isinstance(find_column("x", [f"N{i}" for i in range(20)]), Category)  # too few to tell


def test_an_infinite_number_among_texts_is_named_by_its_row():
    for word in ("inf", "-Infinity", "1e999"):
        with pytest.raises(BadData, match="column 'x' is infinite in row 12: correct it"):
            find_column("x", ["1", "2", word], rows=[3, 7, 12])


def test_at_most_so_many_categories_the_frequent_ones_first():
    values = [f"v{i}" for i in range(50) for _ in range(i + 1)]
    assert Category.fit("x", values, most=3).values == ("v49", "v48", "v47")
    assert Category.fit("x", values, least=50).values == ("v49",)

"""The table codec: what each kind of column becomes, fitted on training rows only, and what it refuses."""

import json
import math
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from descend.data import BadData, Category, Date, Number, TableCodec
from descend.data.codecs.column import find_column, to_days
from descend.data.datasets.table import FRACTIONS, split_table, take
from descend.data.splits import split
from descend.engine.config import build, describe

RNG = np.random.default_rng(0)


def table(n=200):
    days = [str(np.datetime64("2024-01-01") + int(day)) for day in RNG.integers(0, 400, n)]
    return {
        "id": [f"N{i}" for i in range(n)],
        "length": [f"{x:.4f}" for x in RNG.lognormal(0, 1, n)],
        "width": ["" if i % 7 == 0 else f"{x:.3f}" for i, x in enumerate(RNG.normal(5, 2, n))],
        "kind": ["a", "b", "b", "c"] * (n // 4),
        "bought": days,
        "unit": ["cm"] * n,
        "answer": ["yes", "no"] * (n // 2),
    }


def test_kinds_are_found():
    codec = TableCodec.fit(table(), "answer")
    assert [type(column) for column in codec.columns] == [Number, Number, Category, Date]
    assert set(codec.left_out) == {"id", "unit"}
    assert "which row it is" in codec.left_out["id"]
    assert codec.left_out["unit"] == "it holds one value only"
    assert codec.labels == ("no", "yes")
    assert codec.cardinalities == (4,)
    # length 1, width and its flag 2, a date's place and two turns 5
    assert codec.numbers == 8
    assert codec.shape == (8,)
    rows = codec.encode_table(table())
    assert rows["numbers"].shape == (200, 8)
    assert rows["numbers"].dtype == torch.float32
    assert rows["categories"].shape == (200, 1)
    assert rows["categories"].dtype == torch.int64


def test_one_row_is_a_row_of_the_table():
    whole = table()
    codec = TableCodec.fit(whole, "answer")
    rows = codec.encode_table(whole)
    for i in (0, 7, 199):
        one = codec.encode({name: values[i] for name, values in whole.items()})
        assert all(torch.equal(one[name], rows[name][i]) for name in rows)


def test_numbers_become_normal_scores_whatever_their_unit():
    values = RNG.lognormal(3, 2, 5000)
    column = Number.fit("x", values)
    found = column.encode(values)
    assert found.shape == (5000, 1)
    assert abs(found.mean()) < 0.02
    assert abs(found.std() - 1) < 0.03
    assert np.diff(found[np.argsort(values), 0]).min() >= 0
    assert np.allclose(Number.fit("x", values * 1000 + 7).encode(values * 1000 + 7), found, atol=1e-4)
    # a wild value cannot run away, and the order goes on beyond what was seen
    beyond = column.encode([values.max() * 1.2, values.max() * 1e6, 1e300, -1e300])[:, 0]
    assert beyond[0] > found.max()
    assert np.all(np.isfinite(beyond))
    assert beyond[2] < found.max() + 2.1
    assert len(column.knots) <= 256


def test_few_values_keep_their_order_and_ties_their_place():
    found = Number.fit("x", [0] * 50 + [1] * 30 + [5] * 20).encode([0, 1, 5, 3])[:, 0]
    assert found[0] < 0 < found[1] < found[3] < found[2]


def test_gaps_take_the_middle_and_a_flag_only_where_training_rows_had_some():
    whole = Number.fit("x", [1, 2, 3, 4])
    assert whole.encode(["", None, math.nan, "NA", "2"]).shape == (5, 1)
    assert np.allclose(whole.encode(["", None, math.nan, "n/a"]), whole.middle)
    gaps = Number.fit("x", ["1", "2", "", "3", "4"])
    assert gaps.encode(["", "2"])[:, 1].tolist() == [1, 0]
    assert gaps.encode([""])[0, 0] == pytest.approx(gaps.encode(["2.5"])[0, 0])


def test_categories():
    column = Category.fit("x", ["b"] * 5 + ["a"] * 9 + ["rare", "rare"] + ["", None])
    assert column.values == ("a", "b")
    assert column.encode(["a", "b", " b ", "rare", "new", "", None]).tolist() == [1, 2, 2, 0, 0, 0, 0]
    assert Category.fit("x", ["p", "q"]).values == ("p", "q")  # where all are rare, rare is no reason


def test_dates():
    column = find_column("x", ["2024-01-01", "2024-01-03", "", "2024-12-31"])
    assert isinstance(column, Date)
    found = column.encode(["2024-01-01", "2024-12-31", "", date(2024, 1, 3), datetime(2024, 1, 3), "2024-01-10"])
    assert found.shape == (6, 6)
    assert found[:2, 0] == pytest.approx([-math.sqrt(3), math.sqrt(3)])
    assert found[2].tolist() == pytest.approx([0, 0, 0, 0, 0, 1], abs=1e-6)
    assert np.array_equal(found[3], found[4])
    assert np.allclose(found[3, 1:3], found[5, 1:3], atol=1e-5)  # the same day of the week
    assert np.allclose(found[:, 1] ** 2 + found[:, 2] ** 2, [1, 1, 0, 1, 1, 1], atol=1e-5)
    far = column.encode(["1700-01-01", "2999-01-01"])[:, 0]
    assert np.abs(far).max() < 3 * 2 * math.sqrt(3)


@pytest.mark.parametrize(
    ("texts", "day"),
    [
        (["01.02.2024", "28.02.2024"], "2024-02-01"),
        (["02/01/2024", "02/28/2024"], "2024-02-01"),
        (["01/02/2024", "28/02/2024"], "2024-02-01"),  # one text decides for all
        (["01/02/2024", "03/04/2024"], "2024-01-02"),  # where nothing does, the month is first
        (["2024/02/01", "2024/02/28"], "2024-02-01"),
        (["1 Feb 2024", "28 Feb 2024"], "2024-02-01"),
        (["February 1, 2024", "May 28, 2024"], "2024-02-01"),
        (["2024-02-01T00:00:00Z", "2024-02-28"], "2024-02-01"),
        (["01.02.2024 00:00", "28.02.2024 12:30"], "2024-02-01"),
    ],
)
def test_forms_of_dates(texts, day):
    column = find_column("x", texts)
    assert isinstance(column, Date)
    assert to_days("x", texts[:1], column.form)[0] == (date.fromisoformat(day) - date(1970, 1, 1)).days
    assert np.array_equal(column.encode([day]), column.encode(texts[:1]))  # ISO 8601 is always read


def test_a_time_of_day_is_a_turn_too():
    plain, clock = (find_column("x", [f"2024-01-0{d} {h}" for d in "12345"]) for h in ("00:00", "18:00"))
    assert plain.encode([None]).shape[1] == 5
    assert clock.encode(["2024-01-03 18:00"])[0, 5:] == pytest.approx([-1, 0], abs=1e-4)


def _shift(columns, rows, **new):
    """The table with other values in these rows."""
    changed = {name: list(values) for name, values in columns.items()}
    for name, value in new.items():
        for row in rows:
            changed[name][row] = value
    return changed


def test_fitted_on_training_rows_only():
    """Values of validation and test rows that would show in every part of the codec, if it saw them."""
    whole = table()
    classes = torch.tensor([0, 1] * 100)
    parts = split(200, FRACTIONS, 0, classes=classes)
    elsewhere = torch.cat(parts[1:]).tolist()
    leaking = _shift(whole, elsewhere, length="1e6", width="-1e6", kind="leak", bought="2199-01-01", unit="leak")
    fitted = split_table(whole, "answer", "t").codec
    assert describe(split_table(leaking, "answer", "t").codec) == describe(fitted)
    # the same in training rows shows, so that the equality above means something
    for name, value in {"length": "1e6", "width": "-1e6", "kind": "leak", "bought": "2199-01-01"}.items():
        seen = _shift(whole, parts[0].tolist()[:20], **{name: value})
        assert describe(split_table(seen, "answer", "t").codec) != describe(fitted), name
    assert describe(TableCodec.fit(leaking, "answer")) != describe(fitted)  # as would a fit on all rows


@pytest.mark.parametrize("target", ["answer", "length"])
def test_the_codec_is_the_one_of_exactly_the_training_rows(target):
    whole = table()
    whole["length"][:] = [f"{float(x) * 1e3:.1f}" for x in whole["length"]]
    classes = torch.tensor([0, 1] * 100) if target == "answer" else None
    rows = split(200, FRACTIONS, 0, classes=classes)[0].tolist()
    fitted = split_table(whole, target, "t").codec
    assert describe(TableCodec.fit(take(whole, rows), target)) == describe(fitted)
    assert describe(TableCodec.fit(take(whole, [*rows[1:], rows[0]]), target)) == describe(fitted)
    assert describe(TableCodec.fit(take(whole, rows[1:]), target)) != describe(fitted)
    assert describe(TableCodec.fit(whole, target)) != describe(fitted)


def test_the_scale_of_a_quantity_is_of_training_rows_only():
    whole = {"x": list(range(100)), "y": [i * 1.5 for i in range(100)]}
    parts = split(100, FRACTIONS, 0)
    leaking = _shift(whole, torch.cat(parts[1:]).tolist(), y=1e6)
    a, b = split_table(whole, "y", "t"), split_table(leaking, "y", "t")
    assert (a.codec.target_mean, a.codec.target_std) == (b.codec.target_mean, b.codec.target_std)
    assert a.codec.target_mean == pytest.approx(a.train.tensors["target"].mean().item())
    assert a.codec.target_std == pytest.approx(a.train.tensors["target"].std(correction=0).item())
    assert b.test.tensors["target"].eq(1e6).all()  # targets stay in their own unit
    with pytest.raises(ValueError, match="t has no classes: its target is a quantity"):
        _ = a.classes


@pytest.mark.parametrize(
    ("values", "quantity"),
    [
        (["1.5", "2.5", "3.5"] * 9, True),
        ([str(i) for i in range(50)], True),
        (["0", "1", "2"] * 9, False),
        ([True, False] * 9, False),
        (["low", "high", "3"] * 9, False),
        (np.linspace(0, 1, 50), True),
        (np.arange(50) % 3, False),
    ],
)
def test_regression_is_found_from_the_column(values, quantity):
    data = split_table({"x": list(range(len(values))), "y": values}, "y", "t")
    assert (data.codec.labels is None) == quantity
    assert data.train.tensors["target"].dtype == (torch.float32 if quantity else torch.int64)
    assert data.features == 1


def test_classes_are_sorted_numbers_by_value():
    codec = TableCodec.fit({"x": range(6), "y": ["10", "9", "1", "10", "9", "1"]}, "y")
    assert codec.labels == ("1", "9", "10")
    assert codec.encode_target({"y": ["9", "1"]}).tolist() == [1, 0]


def test_answers():
    codec = TableCodec.fit(table(), "answer")
    assert codec.decode(torch.tensor([0.25, 0.75]))["label"] == "yes"
    codec = TableCodec.fit({"x": range(30), "price": np.linspace(0, 9, 30)}, "price")
    assert codec.decode(torch.tensor([4.5])) == {"price": 4.5}
    assert codec.decode(torch.tensor([[4.0, 4.5, 6.0]])) == {"price": 4.5, "quantiles": [4.0, 4.5, 6.0]}


def test_a_codec_is_plain_data():
    whole = table()
    codec = TableCodec.fit(whole, "answer")
    again = build(json.loads(json.dumps(describe(codec), allow_nan=False)))
    assert again.columns == codec.columns
    a, b = codec.encode_table(whole), again.encode_table(whole)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert again.left_out == codec.left_out


def _row(**new):
    return {**{name: values[0] for name, values in table().items()}, **new}


def test_what_a_row_must_hold():
    codec = TableCodec.fit(table(), "answer")
    with pytest.raises(BadData, match=r"the column 'width' is missing; is it called 'widht'\? There are .*widht"):
        codec.encode({"widht" if name == "width" else name: value for name, value in _row().items()})
    with pytest.raises(BadData, match=r"the column 'length' is missing\. There are nothing"):
        codec.encode({"nothing": 1})
    with pytest.raises(BadData, match="column 'length' holds numbers, but 'long' in row 1 is none"):
        codec.encode(_row(length="long"))
    with pytest.raises(BadData, match="column 'length' is infinite in row 1"):
        codec.encode(_row(length=math.inf))
    with pytest.raises(BadData, match="column 'bought' holds dates, but 'soon' in row 1 is none: write 2024-12-31"):
        codec.encode(_row(bought="soon"))
    with pytest.raises(BadData, match=r"by column name, \{'length': …\}, not as PosixPath holiday\.png"):
        codec.encode(Path("holiday.png"))
    row = _row(extra=1)
    del row["answer"]
    assert codec.encode(row)["numbers"].isfinite().all()


@pytest.mark.parametrize("name", ["length", "width"])
def test_a_bad_value_is_named_by_its_row_of_the_whole_table(name):
    for row in (3, 57, 111, 190):
        for value, message in (("inf", "is infinite in row"), ("-1e999", "is infinite in row")):
            with pytest.raises(BadData, match=f"column '{name}' {message} {row + 1}:"):
                split_table(_shift(table(), [row], **{name: value}), "answer", "t")
    parts = split(200, FRACTIONS, 0, classes=torch.tensor([0, 1] * 100))
    row = int(parts[2][5])
    with pytest.raises(BadData, match=f"column '{name}' holds numbers, but 'long' in row {row + 1} is none"):
        split_table(_shift(table(), [row], **{name: "long"}), "answer", "t")


def test_bad_targets():
    with pytest.raises(BadData, match=r"there is no column 'anwser'; did you mean 'answer'\? The table has id, length"):
        split_table(table(), "anwser", "t")
    with pytest.raises(
        BadData, match=r"the target 'answer' is missing in 3 of 200 rows \(2, 6, 10\): leave these rows"
    ):
        split_table(_shift(table(), [1, 5, 9], answer="NA"), "answer", "t")
    with pytest.raises(BadData, match=r"in 190 of 200 rows \(1, 2, 3, 4, 5, …\)"):
        split_table(_shift(table(), range(190), answer=""), "answer", "t")
    with pytest.raises(BadData, match=r"the target 'unit' holds one class only \(cm\): there is nothing to tell apart"):
        split_table(table(), "unit", "t")
    with pytest.raises(BadData, match="the target 'y' is 2 in every row"):
        split_table({"x": range(30), "y": [2.0] * 30}, "y", "t", regression=True)
    with pytest.raises(BadData, match="column 'y' is infinite in row 30"):
        split_table({"x": range(30), "y": [*np.linspace(0, 1, 29), math.inf]}, "y", "t")
    codec = TableCodec.fit(table(), "answer")
    with pytest.raises(BadData, match="holds maybe, which no training row holds: the classes are no, yes"):
        codec.encode_target({"answer": ["yes", "maybe"]})


def test_bad_tables():
    with pytest.raises(BadData, match="no column can be used beside the target 'y'"):
        split_table({"x": ["a"] * 30, "y": [0, 1] * 15}, "y", "t")
    with pytest.raises(BadData, match=r"no column can be used .* there is no other"):
        split_table({"y": [0, 1] * 15}, "y", "t")
    with pytest.raises(BadData, match="one value a row, but x has 2, y has 3"):
        split_table({"x": [1, 2], "y": [0, 1, 0]}, "y", "t")
    with pytest.raises(BadData, match="t has a header and not one row"):
        split_table({"x": [], "y": []}, "y", "t")
    with pytest.raises(BadData, match="3 samples cannot be split"):
        split_table({"x": [1, 2, 3], "y": [0, 1, 0]}, "y", "t")


def test_arrays_and_lists_give_the_same():
    n = 90
    columns = {
        "a": RNG.normal(size=n),
        "b": np.where(RNG.random(n) < 0.2, np.nan, RNG.normal(size=n)),
        "y": np.arange(n) % 3,
    }
    a, b = (split_table(c, "y", "t") for c in (columns, {name: v.tolist() for name, v in columns.items()}))
    assert a.fingerprint() == b.fingerprint()
    assert describe(a.codec) == describe(b.codec)
    assert take(columns, [2, 5])["a"].tolist() == columns["a"][[2, 5]].tolist()
    assert replace(a, name="u").fingerprint() == a.fingerprint()

"""Tables from files: every usual dialect is read, what is wrong is named by its line."""

import contextlib
import csv
import subprocess
import sys

import numpy as np
import pytest
import torch

from descend.data import BadData, datasets
from descend.data.datasets.table import read_table


def write(tmp_path, content, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


PLAIN = {"a": ("1", "2"), "b": ("x", "y")}


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x\n2,y\n",
        "a;b\n1;x\n2;y",
        "a\tb\r\n1\tx\r\n2\ty\r\n",
        "a|b\n1|x\n\n2|y\n\n",
        "\ufeffa,b\n1,x\n2,y\n",
        ' a ,"b"\n1,"x"\n"2",y\n',
    ],
)
def test_dialects(tmp_path, content):
    assert read_table(write(tmp_path, content)) == PLAIN


def test_quotes_may_hold_anything(tmp_path):
    found = read_table(write(tmp_path, 'a;"b, c, d, e"\n1;"x\ny"\n2;"say ""so"";\u2028"\n'))
    assert found == {"a": ("1", "2"), "b, c, d, e": ("x\ny", 'say "so";\u2028')}


def test_a_column_without_a_name(tmp_path):
    assert list(read_table(write(tmp_path, ",b\n0,x\n1,y\n"))) == ["column 1", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty: the first line must name the columns"),
        ("\n\n", "is empty: the first line must name the columns"),
        ("a,b\n", "has a header and not one row"),
        ("a,b\n1,2\n3\n", "a.csv, line 3: 1 fields where the header names 2 columns"),
        ('a,b\n1,"2\n3"\n4,5,6\n', "a.csv, line 4: 3 fields where the header names 2 columns"),
        ("a,b,a\n1,2,3\n", "names the column 'a' twice"),
        (b"a,b\n1,\xff\n", "is not utf-8 at byte 6 .*--encoding latin-1"),
        ('a,b\n1,"2\n3,4\n', "line 3: unexpected end of data; look for a quotation mark"),
    ],
)
def test_bad_files(tmp_path, content, message):
    with pytest.raises(BadData, match=message):
        read_table(write(tmp_path, content))


def test_no_file(tmp_path):
    with pytest.raises(BadData, match=r"there is no file .*none\.csv"):
        datasets.table(tmp_path / "none.csv", "y")


def test_parquet_is_read_as_the_same_table(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "orders.csv"
    datasets.write_generated(path, rows=500)
    columns = read_table(path)
    typed = {
        "weight": [float(x) if x else None for x in columns["weight"]],
        "distance": [float(x) for x in columns["distance"]],
        "carrier": [x or None for x in columns["carrier"]],
        "country": list(columns["country"]),
        "shipped": [np.datetime64(x).astype(object) for x in columns["shipped"]],
        "late": [x == "yes" for x in columns["late"]],
    }
    parquet.write_table(pyarrow.table(typed), tmp_path / "orders.parquet")
    a, b = datasets.table(path, "late"), datasets.table(tmp_path / "orders.parquet", "late")
    assert b.codec.labels == ("False", "True")
    keep = [i for i in range(a.codec.numbers) if i != 8]  # without the column "noise"
    assert torch.allclose(a.test.tensors["numbers"][:, keep], b.test.tensors["numbers"])
    assert torch.equal(a.test.tensors["categories"], b.test.tensors["categories"])
    assert torch.equal(a.test.tensors["target"], b.test.tensors["target"])
    row = {name: values[3] for name, values in typed.items()}
    assert b.codec.encode(row)["numbers"].shape == (b.codec.numbers,)


def test_a_bad_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(BadData, match="is no Parquet file that can be read"):
        datasets.table(write(tmp_path, "a,b\n1,2\n", "a.parquet"), "b")


def test_parquet_names_a_column_twice(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"]), path)
    with pytest.raises(BadData, match=r"a\.parquet names the column 'a' twice"):
        read_table(path)


def test_parquet_of_every_kind_of_number_with_gaps(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from decimal import Decimal

    from pyarrow import parquet

    n = 40
    columns = {
        "int": [None if i % 5 == 0 else i for i in range(n)],
        "float": [None if i % 7 == 0 else i / 3 for i in range(n)],
        "decimal": [Decimal(i) / 4 for i in range(n)],
        "kind": pyarrow.array(["a", "b", None, "c"] * 10).dictionary_encode(),
        "y": pyarrow.array([0.0, 1.0] * 20, pyarrow.float32()),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    data = datasets.table(tmp_path / "a.parquet", "y")
    assert data.codec.labels == ("0", "1")
    assert [type(column).__name__ for column in data.codec.columns] == ["Number", "Number", "Number", "Category"]
    assert data.codec.numbers == 2 + 2 + 1
    assert data.train.tensors["numbers"].isfinite().all()
    row = data.codec.encode({"int": None, "float": 2, "decimal": "1.25", "kind": "c"})
    assert row["numbers"][1] == 1
    assert row["categories"].tolist() == [data.codec.columns[3].values.index("c") + 1]


def test_a_parquet_torn_or_with_flipped_bits_is_refused_or_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path, draw = tmp_path / "a.parquet", np.random.default_rng(0)
    parquet.write_table(pyarrow.table({"a": draw.normal(size=50), "b": ["x", "y"] * 25}), path)
    content = path.read_bytes()
    for length in range(0, len(content), 40):
        path.write_bytes(content[:length])
        with pytest.raises(BadData, match=r"a\.parquet is no Parquet file that can be read"):
            read_table(path)
    for _ in range(100):
        wrong = bytearray(content)
        for place in draw.integers(0, len(wrong), 2):
            wrong[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(bytes(wrong))
        with contextlib.suppress(BadData):
            data = datasets.table(path, "b")
            assert data.train.tensors["numbers"].isfinite().all()


def test_a_wide_and_a_long_field(tmp_path):
    names = [f"c{i}" for i in range(3000)]
    found = read_table(write(tmp_path, ",".join(names) + "\n" + ",".join(map(str, range(3000))) + "\n"))
    assert found["c2999"] == ("2999",)
    assert len(read_table(write(tmp_path, "a,b\n1," + "x" * 200_000 + "\n"))["b"][0]) == 200_000


@pytest.mark.parametrize("text", ["utf-16", "latin-1"])
def test_other_encodings_are_named(tmp_path, text):
    path = write(tmp_path, "größe,b\n1,2\n".encode(text))
    with pytest.raises(BadData, match=r"a\.csv is not utf-8 at byte .* or save it as UTF-8"):
        read_table(path)
    assert list(read_table(path, text)) == ["größe", "b"]


@pytest.mark.slow
def test_the_generated_table(tmp_path):
    a, b, c = (tmp_path / f"{name}.csv" for name in "abc")
    for path, seed in ((a, 0), (b, 0), (c, 1)):
        datasets.write_generated(path, rows=2000, seed=seed)
    assert a.read_bytes() == b.read_bytes() != c.read_bytes()
    data = datasets.table(a, "late")
    assert data.codec.labels == ("no", "yes")
    assert [type(column).__name__ for column in data.codec.columns] == [
        *("Number", "Number", "Category", "Category", "Date", "Number")
    ]
    assert list(data.codec.left_out) == ["order"]
    assert [len(part) for part in (data.train, data.valid, data.test)] == [1400, 300, 300]
    assert 0.55 < data.train.tensors["target"].float().mean() < 0.62
    assert datasets.table(a, "late").fingerprint() == data.fingerprint()
    assert datasets.table(a, "late", key=1).fingerprint() != data.fingerprint()


def test_a_quantity_of_the_generated_table(tmp_path):
    datasets.write_generated(tmp_path / "a.csv", rows=300)
    data = datasets.table(tmp_path / "a.csv", "distance")
    assert data.codec.labels is None
    assert data.codec.target_mean == pytest.approx(600, rel=0.2)


@pytest.mark.slow
def test_quick_enough(tmp_path):
    """In a process of its own, without the type checker."""
    page = """
import sys, time
from descend.data import datasets
from descend.data.datasets.table import read_table
path = sys.argv[1]
datasets.write_generated(__import__("pathlib").Path(path))
clock = [time.process_time()]
columns = read_table(__import__("pathlib").Path(path)); clock.append(time.process_time())
data = datasets.table(path, "late"); clock.append(time.process_time())
data.codec.encode_table(columns); clock.append(time.process_time())
print(*[b - a for a, b in zip(clock, clock[1:])])
"""
    found = subprocess.run([sys.executable, "-c", page, str(tmp_path / "a.csv")], stdout=subprocess.PIPE, text=True)
    read, whole, encode = map(float, found.stdout.split())  # 0.16, 0.7, 0.12 s of 50,000 rows
    assert read < 1.5
    assert whole < 4
    assert encode < 2


def test_the_classics():
    tumours, wines, patients = datasets.breast_cancer(), datasets.wine(), datasets.diabetes()
    assert tumours.codec.labels == ("benign", "malignant")
    assert (tumours.features, wines.features, patients.features) == (30, 13, 10)
    assert wines.classes == 3
    assert patients.codec.labels is None
    assert patients.codec.target == "progression"
    for data, n in ((tumours, 569), (wines, 178), (patients, 442)):
        parts = [len(part) for part in (data.train, data.valid, data.test)]
        assert sum(parts) == n
        assert parts[0] == pytest.approx(0.7 * n, abs=1)
    y = patients.train.tensors["target"]
    assert patients.codec.target_mean == pytest.approx(y.mean().item(), rel=1e-5)
    assert patients.codec.target_std == pytest.approx(y.std(correction=0).item(), rel=1e-5)


def test_the_written_file_is_a_plain_csv(tmp_path):
    datasets.write_generated(tmp_path / "a.csv", rows=10)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert list(rows[0]) == ["order", "weight", "distance", "carrier", "country", "shipped", "noise", "late"]

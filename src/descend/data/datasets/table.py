"""Tables: any CSV or Parquet file, and the classic ones that scikit-learn carries."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from descend.data.codecs import TableCodec
from descend.data.codecs.column import Values, to_numbers, to_text
from descend.data.codecs.table import Columns, is_quantity, target_values
from descend.data.data import Tensors
from descend.data.errors import BadData
from descend.data.reading import read_text
from descend.data.splits import Splits, split

FRACTIONS = (0.7, 0.15, 0.15)
"""Training, validation, test."""


def table(
    path: str | Path, target: str, regression: bool | None = None, key: int = 0, encoding: str = "utf-8"
) -> Splits:
    """A table in a file: rows split 70/15/15 by key (of each class alike), the codec fitted on the training rows.

    Args:
        path: a .csv, .tsv or .txt file with a header (comma, semicolon, tab or bar), or .parquet.
        target: the column to be predicted.
        regression: whether it is a quantity; found from the column if None.
        key: of the split.
        encoding: of the text.

    Raises:
        BadData: the file cannot be read, is in another encoding, or holds nothing to learn from.
    """
    return split_table(read_table(Path(path), encoding), target, Path(path).name, regression, key)


def split_table(columns: Columns, target: str, name: str, regression: bool | None = None, key: int = 0) -> Splits:
    """The same for a table at hand: lists or arrays of one length, by column name."""
    lengths = {column: len(values) for column, values in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{column} has {length}" for column, length in lengths.items())
        raise BadData(f"{name}: every column holds one value a row, but {said}")
    values = target_values(columns, target)
    if len(values) == 0:
        raise BadData(f"{name} has a header and not one row")
    quantity = is_quantity(values) if regression is None else regression
    classes = None
    if quantity:
        to_numbers(target, values)  # refuses what is none, by its row in the whole table
    else:
        texts = [to_text(value) for value in values]
        places = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        classes = torch.tensor([places[text] for text in texts])
    parts = split(len(values), FRACTIONS, key, classes=classes)
    tables = [take(columns, part.tolist()) for part in parts]
    codec = TableCodec.fit(tables[0], target, quantity, (parts[0] + 1).tolist())
    train, valid, test = (
        Tensors(**codec.encode_table(rows, (part + 1).tolist()), target=codec.encode_target(rows))
        for rows, part in zip(tables, parts, strict=True)
    )
    return Splits(train, valid, test, codec, name)


def take(columns: Columns, rows: Sequence[int]) -> dict[str, Values]:
    """The rows of these numbers, counted from 0."""
    return {
        name: column[list(rows)] if isinstance(column, np.ndarray) else [column[i] for i in rows]
        for name, column in columns.items()
    }


def read_table(path: Path, encoding: str = "utf-8") -> dict[str, Values]:
    """A file's columns by name; CSV fields stay text, which is in this encoding.

    Raises:
        BadData: it is missing, in another encoding, empty, of no known kind, or a line has too many or too few fields.
    """
    if not path.is_file():
        raise BadData(f"there is no file {path}")
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    text = read_text(path, encoding)
    csv.field_size_limit(2**31 - 1)  # a field may be an article
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text.split("\n", 1)[0]), strict=True)
    try:
        return _columns(path, lines)
    except csv.Error as error:
        raise BadData(f"{path}, line {lines.line_num}: {error}; look for a quotation mark that is not closed") from None


def _columns(path: Path, lines: Any) -> dict[str, Values]:
    header = next(lines, [])
    if not any(name.strip() for name in header):
        raise BadData(f"{path} is empty: the first line must name the columns")
    names = [name.strip() or f"column {i}" for i, name in enumerate(header, 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadData(f"{path} names the column {twice[0]!r} twice")
    rows = []
    for row in lines:
        if len(row) != len(names):
            if not row:
                continue
            raise BadData(
                f"{path}, line {lines.line_num}: {len(row)} fields where the header names {len(names)} columns"
            )
        rows.append(row)
    if not rows:
        raise BadData(f"{path} has a header and not one row")
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _read_parquet(path: Path) -> dict[str, Values]:
    try:
        from pyarrow import parquet, types
    except ImportError:
        raise BadData(f"{path} is Parquet, which pyarrow reads: pip install 'descend[tables]'") from None
    try:
        twice = [name for name, times in Counter(parquet.read_schema(path).names).items() if times > 1]
        if twice:
            raise BadData(f"{path} names the column {twice[0]!r} twice")
        read = parquet.read_table(path)
        numbers = {field.name for field in read.schema if types.is_integer(field.type) or types.is_floating(field.type)}
        return {
            name: column.to_numpy() if name in numbers else column.to_pylist()
            for name, column in zip(read.column_names, read.columns, strict=True)
        }
    except BadData:
        raise
    except (OSError, ValueError) as error:
        raise BadData(f"{path} is no Parquet file that can be read ({str(error).splitlines()[0]})") from None


def _delimiter(header: str) -> str:
    """The most frequent of the usual ones, quoted names apart."""
    bare = re.sub('"[^"]*"', "", header)
    return max(",;\t|", key=bare.count)


def breast_cancer() -> Splits:
    """569 tumours, 30 numbers, malignant or benign (Wolberg et al. 1995)."""
    from sklearn.datasets import load_breast_cancer

    return _classic(load_breast_cancer(), "diagnosis", "breast cancer")


def wine() -> Splits:
    """178 wines, 13 numbers, 3 growers (Aeberhard and Forina 1991)."""
    from sklearn.datasets import load_wine

    return _classic(load_wine(), "grower", "wine")


def diabetes() -> Splits:
    """442 patients, 10 numbers, how far the disease went in a year (Efron et al. 2004); a quantity from 25 to 346."""
    from sklearn.datasets import load_diabetes

    return _classic(load_diabetes(scaled=False), "progression", "diabetes")


def _classic(bunch: Any, target: str, name: str) -> Splits:
    columns = dict(zip(bunch["feature_names"], bunch["data"].T, strict=True))
    labels = bunch.get("target_names")
    values = bunch["target"] if labels is None else [str(labels[i]) for i in bunch["target"]]
    return split_table({**columns, target: values}, target, name)


def write_generated(path: Path, rows: int = 50_000, seed: int = 0) -> None:
    """A CSV of orders with numbers, categories, dates and gaps, and ``late`` (yes or no) by a known rule with noise.

    The answer is drawn with probability σ(2·rule): who knew the rule would score 0.845, and 0.835 with the gaps.
    """
    draw = np.random.default_rng(seed)
    weight, distance = draw.lognormal(1.0, 0.8, rows), draw.gamma(2.0, 300.0, rows)
    carrier, country = (
        draw.choice(["air", "road", "sea", "rail"], rows),
        draw.choice([f"C{i:02d}" for i in range(30)], rows),
    )
    day = draw.integers(0, 1000, rows)
    delay = {"air": -1.0, "road": 0.0, "sea": 1.2, "rail": 0.4}
    rule = (
        np.vectorize(delay.get)(carrier)
        + np.where((distance > 800) & (carrier == "road"), 2.0, 0.0)
        + np.where(weight > 6, 0.8, -0.2)
        + np.where(day % 7 >= 5, 1.0, -0.4)
        + np.sin(distance / 150)
        + (np.vectorize(lambda c: int(c[1:]))(country) % 5 - 2) * 0.5
    )
    late = draw.random(rows) < 1 / (1 + np.exp(-2 * rule))
    gaps = draw.random((2, rows)) < 0.1
    dates = np.datetime64("2022-01-01") + day
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["order", "weight", "distance", "carrier", "country", "shipped", "noise", "late"])
        for i in range(rows):
            lines.writerow(
                [
                    f"N{i:06d}",
                    "" if gaps[0, i] else f"{weight[i]:.3f}",
                    f"{distance[i]:.1f}",
                    "" if gaps[1, i] else carrier[i],
                    country[i],
                    dates[i],
                    f"{math.sin(i):.4f}",
                    "yes" if late[i] else "no",
                ]
            )

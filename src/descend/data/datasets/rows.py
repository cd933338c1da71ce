"""Pairs of texts in files: tables, JSON lines, folders of texts, and two files line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from descend.data.datasets.table import read_table
from descend.data.errors import BadData
from descend.data.reading import read_lines, read_text, written

Rows = list[tuple[str, str]]


def rows(path: Path, first: str, second: str, encoding: str = "utf-8") -> Rows:
    """The texts of a file or folder, and what belongs to each.

    Args:
        path: .csv, .tsv, .parquet or .jsonl (also .gz) with the columns ``first`` and ``second``; or a folder
            ``NAME/*.txt``, where the name is what belongs to the text.

    Raises:
        BadData: it cannot be read, has no such column, or holds nothing, also in one row of a column; a file's line or
            row is named.
    """
    if path.is_dir():
        found = [
            (read_text(file, encoding).strip(), folder.name)
            for folder in sorted(path.iterdir())
            if folder.is_dir()
            for file in sorted(folder.glob("*.txt"))
        ]
        if not found:
            raise BadData(f"{path} holds no text: a folder of texts is NAME/*.txt, one folder a class")
        return found
    if ".jsonl" in path.name:
        return [_both(path, number, row, first, second) for number, row in objects(path, encoding)]
    columns = read_table(path, encoding)
    for name in (first, second):
        if name not in columns:
            raise BadData(f"{path} has no column {name!r}: it has {', '.join(columns)}")
    both = zip(columns[first], columns[second], strict=True)
    return [
        (written(a, f"{path}, row {row}, {first}"), written(b, f"{path}, row {row}, {second}"))
        for row, (a, b) in enumerate(both, 1)
    ]


def objects(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, Any]]:
    """What stands in the lines of a .jsonl file (also .gz), and the lines' numbers.

    Raises:
        BadData: a line is no JSON.
    """
    for number, line in enumerate(read_lines(path, encoding), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise BadData(f"{path}, line {number}, is no JSON: {error}") from None


def _both(path: Path, number: int, row: Any, first: str, second: str) -> tuple[str, str]:
    missing = [name for name in (first, second) if not isinstance(row, Mapping) or name not in row]
    if missing:
        has = ", ".join(row) if isinstance(row, Mapping) else type(row).__name__
        raise BadData(f"{path}, line {number}, has no {missing[0]!r}: it has {has}")
    where = f"{path}, line {number}"
    return written(row[first], f"{where}, {first}"), written(row[second], f"{where}, {second}")


def parallel(first: Path, second: Path, encoding: str = "utf-8") -> Rows:
    """The lines of two files, one the other's translation; .gz is unpacked.

    Raises:
        BadData: they have not equally many lines, or one is in another encoding.
    """
    lines = [read_lines(path, encoding) for path in (first, second)]
    if len(lines[0]) != len(lines[1]):
        raise BadData(
            f"{first} has {len(lines[0]):,} lines and {second} {len(lines[1]):,}: each line must be the other's "
            "translation"
        )
    return [(a.strip(), b.strip()) for a, b in zip(*lines, strict=True) if a.strip() and b.strip()]

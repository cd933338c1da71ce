"""Rows of a table: numbers, categories, dates, gaps, to two tensors; the output to a label or a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.data.codecs.codec import Codec, best_labels, classes_of
from descend.data.codecs.column import Category, Column, Values, find_column, is_number, to_numbers, to_text
from descend.data.errors import BadData

Columns = Mapping[str, Values]
"""A table by column name; all columns of one length."""

FEW = 20
"""Whole numbers of at most so many different values are classes, more are a quantity."""


class TableCodec(Codec):
    """A row as ``numbers`` float [n] and ``categories`` int [k].

    >>> codec = TableCodec.fit(rows, target="price")       # rows of the training split only

    Args:
        columns: `Number`, `Category` and `Date`, in order.
        target: the name of the column to be predicted.
        labels: its classes; None for a number.
        target_mean, target_std: of a number over the training rows, in its own unit.
        left_out: why columns were left out, by name.
    """

    def __init__(
        self,
        columns: tuple[Column, ...],
        target: str,
        labels: tuple[str, ...] | None = None,
        target_mean: float = 0.0,
        target_std: float = 1.0,
        left_out: dict[str, str] | None = None,
    ):
        self.columns = columns
        self.target = target
        self.labels = labels
        self.target_mean = target_mean
        self.target_std = target_std
        self.left_out = left_out

    @classmethod
    def fit(
        cls,
        table: Columns,
        target: str,
        regression: bool | None = None,
        row_numbers: Sequence[int] | None = None,
    ) -> TableCodec:
        """From training rows alone: kinds of columns, quantiles, categories, classes.

        Args:
            regression: whether the target is a quantity; found from its values if None.
            row_numbers: for messages; 1, 2, … if None.

        Raises:
            BadData: the target is missing, has gaps, or is of one class; a number is infinite; no column can be used.
        """
        values = target_values(table, target)
        found = {name: find_column(name, column, row_numbers) for name, column in table.items() if name != target}
        columns = tuple(column for column in found.values() if isinstance(column, Column))
        left_out = {name: why for name, why in found.items() if isinstance(why, str)}
        if not columns:
            raise BadData(f"no column can be used beside the target {target!r}: {left_out or 'there is no other'}")
        if regression if regression is not None else is_quantity(values):
            numbers = to_numbers(target, values)
            if numbers.min() == numbers.max():
                raise BadData(f"the target {target!r} is {numbers[0]:g} in every row: there is nothing to learn")
            return cls(columns, target, None, float(numbers.mean()), float(numbers.std()), left_out)
        texts = [to_text(value) or "" for value in values]
        return cls(columns, target, classes_of(texts, f"the target {target!r}"), left_out=left_out)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.numbers,)

    @property
    def numbers(self) -> int:
        """How many numbers a row becomes."""
        return sum(column.encode([None]).shape[1] for column in self.columns if not isinstance(column, Category))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Of every category column, its values and the unknown one."""
        return tuple(len(column.values) + 1 for column in self.columns if isinstance(column, Category))

    def encode(self, raw: Any) -> dict[str, Tensor]:
        """One row, by column name; the target may be missing.

        Raises:
            BadData: a column is missing, or a value is not of its column's kind.
        """
        if not isinstance(raw, Mapping):
            raise BadData(
                f"a row of the table is given by column name, {{{self.columns[0].name!r}: …}}, not as "
                f"{type(raw).__name__} {str(raw)[:60]}"
            )
        table = {name: [value] for name, value in raw.items()}
        return {name: rows[0] for name, rows in self.encode_table(table).items()}

    def encode_table(self, table: Columns, row_numbers: Sequence[int] | None = None) -> dict[str, Tensor]:
        """All rows at once: ``numbers`` [rows, n], ``categories`` [rows, k].

        Args:
            table: by column name; the target may be missing, what the training rows did not have is not looked at.
            row_numbers: for messages; 1, 2, … if None.

        Raises:
            BadData: a column is missing, or a value is not of its column's kind.
        """
        rows = len(next(iter(table.values()), ()))
        numbers, categories = [np.zeros((rows, 0), np.float32)], [np.zeros((rows, 0), np.int64)]
        for column in self.columns:
            if column.name not in table:
                near = get_close_matches(column.name, table, 1)
                hint = f"; is it called {near[0]!r}?" if near else "."
                raise BadData(
                    f"the column {column.name!r} is missing{hint} There are {', '.join(table) or 'no columns'}. "
                    "What is not known may be empty, but the column must be there"
                )
            found = column.encode(table[column.name], row_numbers)
            if isinstance(column, Category):
                categories.append(found[:, None])
            else:
                numbers.append(found)
        return {
            "numbers": torch.from_numpy(np.concatenate(numbers, 1)),
            "categories": torch.from_numpy(np.concatenate(categories, 1)),
        }

    def encode_target(self, table: Columns) -> Tensor:
        """Class indices, or the numbers in their own unit.

        Raises:
            BadData: a class that training rows did not hold.
        """
        values = target_values(table, self.target)
        if self.labels is None:
            return torch.from_numpy(to_numbers(self.target, values).astype(np.float32))
        places = {label: i for i, label in enumerate(self.labels)}
        texts = [to_text(value) or "" for value in values]
        unknown = sorted(set(texts) - set(places))
        if unknown:
            raise BadData(
                f"the target {self.target!r} holds {', '.join(unknown[:3])}, which no training row holds: the "
                f"classes are {', '.join(self.labels)}; leave these rows out, or give more of them"
            )
        return torch.tensor([places[text] for text in texts])

    def decode(self, output: Tensor) -> dict[str, Any]:
        if self.labels is not None:
            return best_labels(self.labels, output)
        values = output.flatten().tolist()
        return (
            {self.target: values[0]}
            if len(values) == 1
            else {self.target: values[len(values) // 2], "quantiles": values}
        )


def target_values(table: Columns, target: str) -> Values:
    """The target column, whole.

    Raises:
        BadData: there is none, or some rows lack it.
    """
    if target not in table:
        near = get_close_matches(target, table, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise BadData(f"there is no column {target!r}{hint} The table has {', '.join(table)}")
    missing = [row + 1 for row, value in enumerate(table[target]) if to_text(value) is None]
    if missing:
        first = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise BadData(
            f"the target {target!r} is missing in {len(missing)} of {len(table[target])} rows ({first}): "
            "leave these rows out"
        )
    return table[target]


def is_quantity(values: Values) -> bool:
    """Whether a target is a quantity (regression) and not a class: numbers of many different values, or fractions."""
    distinct = {to_text(value) or "" for value in values}
    if not all(is_number(text) for text in distinct):
        return False
    return len(distinct) > FEW or not all(float(text).is_integer() for text in distinct)

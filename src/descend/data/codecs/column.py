"""One column of a table, fitted on training rows: a number, a category, or a date."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from descend.data.errors import BadData

Values = Sequence[Any] | np.ndarray
"""A column's values, one a row."""

MISSING = frozenset({"", "na", "n/a", "nan", "nat", "null", "none", "?", "-"})
"""What a gap is written as, whatever the case."""

_DAY = 86400.0
_FORMS = ("", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%m-%d-%Y", "%d-%m-%Y")
_FORMS += ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y")
_CONSTANT = ("it is empty", "it holds one value only")


class Column(ABC):
    """Turns a column's values into numbers or into one category index.

    Attributes:
        name: of the column.
    """

    name: str

    @abstractmethod
    def encode(self, values: Values, rows: Sequence[int] | None = None) -> np.ndarray:
        """float32 [rows, numbers], or int64 [rows] of a category.

        Args:
            values: of the column, one a row.
            rows: the numbers of the rows, for messages; 1, 2, … if None.

        Raises:
            BadData: naming the column and the first value that does not fit.
        """


@dataclass(frozen=True)
class Number(Column):
    """Values as normal scores: the place among the training values' quantiles, put through the inverse of the normal
    distribution, so that neither unit nor outliers matter; the same step standardised where there are few values.

    Args:
        knots: the training values' quantiles, ascending, distinct.
        scores: the normal score of each knot.
        gaps: whether training rows had missing values; then a flag says so.
        middle: the score of a missing value.
    """

    name: str
    knots: tuple[float, ...]
    scores: tuple[float, ...]
    gaps: bool
    middle: float = 0.0

    @classmethod
    def fit(cls, name: str, values: Values, rows: Sequence[int] | None = None) -> Number:
        numbers = to_numbers(name, values, rows)
        known = np.sort(numbers[~np.isnan(numbers)])
        place = np.linspace(0, 1, min(256, len(known)))
        knots, first = np.unique(np.quantile(known, place), return_index=True)
        last = np.append(first[1:], len(place)) - 1
        # A value that many rows share stands in the middle of its ranks.
        ranks = np.clip((place[first] + place[last]) / 2, 0.5 / len(known), 1 - 0.5 / len(known))
        scores = np.array([_normal_quantile(r) for r in ranks])
        return cls(
            name,
            tuple(knots.tolist()),
            tuple(scores.tolist()),
            bool(np.isnan(numbers).any()),
            float(np.interp(np.median(known), knots, scores)),
        )

    def encode(self, values: Values, rows: Sequence[int] | None = None) -> np.ndarray:
        numbers = to_numbers(self.name, values, rows)
        knots, scores = np.array(self.knots), np.array(self.scores)
        found = np.interp(numbers, knots, scores)
        if len(knots) > 1:
            # Beyond what was seen, the outermost slope goes on, held back so that a wild value cannot run away.
            reach = knots[-1] - knots[0]
            beyond = np.clip(numbers - knots[-1], 0, reach) - np.clip(knots[0] - numbers, 0, reach)
            found = found + beyond / reach * 2
        missing = np.isnan(numbers)
        found = np.where(missing, self.middle, found)
        columns = [found, missing] if self.gaps else [found]
        return np.stack(columns, 1).astype(np.float32)


@dataclass(frozen=True)
class Category(Column):
    """Values by their index from 1; 0 is what training rows did not hold, held too seldom, or left out.

    Args:
        values: the known ones, the most frequent first.
    """

    name: str
    values: tuple[str, ...]

    @classmethod
    def fit(cls, name: str, values: Values, least: int = 3, most: int = 1000) -> Category:
        counts = Counter(text for value in values if (text := to_text(value)) is not None)
        kept = [text for text, count in counts.most_common(most) if count >= least] or [
            t for t, _ in counts.most_common(most)
        ]
        return cls(name, tuple(kept))

    def encode(self, values: Values, rows: Sequence[int] | None = None) -> np.ndarray:
        places = {value: i for i, value in enumerate(self.values, start=1)}
        return np.array([places.get(to_text(value) or "", 0) for value in values], dtype=np.int64)


@dataclass(frozen=True)
class Date(Column):
    """Days since the first training row, standardised, and the turn of week and year as sines and cosines.

    Args:
        first: the earliest training day, as a Unix day.
        span: days to the latest, at least 1.
        gaps: whether training rows had missing values; then a flag says so.
        form: how it is written, as `datetime.strptime` takes it; ISO 8601 if empty, which is always read.
        clock: whether training rows had a time of day; then its turn is given too.
    """

    name: str
    first: float
    span: float
    gaps: bool
    form: str = ""
    clock: bool = False

    @classmethod
    def fit(cls, name: str, values: Values, form: str = "") -> Date:
        days = to_days(name, values, form)
        first, last = float(np.nanmin(days)), float(np.nanmax(days))
        known = days[~np.isnan(days)]
        clock = bool((known != np.floor(known)).any())
        return cls(name, first, max(last - first, 1.0), bool(np.isnan(days).any()), form, clock)

    def encode(self, values: Values, rows: Sequence[int] | None = None) -> np.ndarray:
        days = to_days(self.name, values, self.form, rows)
        missing = np.isnan(days)
        days = np.where(missing, self.first + self.span / 2, days)
        turns = [2 * math.pi * days / period for period in ((7.0, 365.2425, 1.0) if self.clock else (7.0, 365.2425))]
        waves = [np.where(missing, 0, f(t)) for t in turns for f in (np.sin, np.cos)]
        # A uniform number of spread 1 goes from -√3 to √3; beyond what was seen it is held back.
        place = np.clip((days - self.first) / self.span, -1, 2) * 2 * math.sqrt(3) - math.sqrt(3)
        columns = [place, *waves, *([missing] if self.gaps else [])]
        return np.stack(columns, 1).astype(np.float32)


def find_column(name: str, values: Values, rows: Sequence[int] | None = None) -> Column | str:
    """The column that fits these training values, or why it is left out.

    Raises:
        BadData: a number is infinite, or written with commas, which may divide thousands or decimals.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        known = values[~np.isnan(values)]
        constant = len(known) == 0 or bool((known == known[0]).all())
        return _CONSTANT[len(known) > 0] if constant else Number.fit(name, values, rows)
    texts = [text for value in values if (text := to_text(value)) is not None]
    distinct = set(texts)
    if len(distinct) < 2:
        return _CONSTANT[len(distinct) > 0]
    if all(is_number(text) for text in distinct):
        return Number.fit(name, values, rows)
    if all(is_number(text.replace(",", "")) for text in distinct):
        example = next(text for text in distinct if "," in text)
        raise BadData(
            f"column {name!r} writes its numbers with commas ({example!r}): write a point before decimals and nothing "
            "between thousands (pandas.read_csv reads decimal=',' and thousands=',')"
        )
    form = _form_of(distinct)
    if form is not None:
        return Date.fit(name, values, form)
    if len(texts) > 20 and len(distinct) > 0.9 * len(texts):
        return "nearly every row holds another text, so it says which row it is and nothing else"
    return Category.fit(name, values)


def to_text(value: object) -> str | None:
    """A value as stripped text; None where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float | np.floating) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return None if text.lower() in MISSING else text


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_numbers(name: str, values: Values, rows: Sequence[int] | None = None) -> np.ndarray:
    """float64, NaN where missing.

    Args:
        rows: the numbers of the rows, for messages; 1, 2, … if None.

    Raises:
        BadData: a text or an infinity, with its row.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        numbers = values.astype(np.float64)
    else:
        numbers = np.empty(len(values))
        for place, value in enumerate(values):
            try:
                numbers[place] = math.nan if to_text(value) is None else float(value)
            except (TypeError, ValueError):
                raise BadData(
                    f"column {name!r} holds numbers, but {value!r} in row {_row(rows, place)} is none: correct it, or "
                    "leave it empty if it is not known"
                ) from None
    if np.isinf(numbers).any():
        row = _row(rows, int(np.isinf(numbers).argmax()))
        raise BadData(f"column {name!r} is infinite in row {row}: correct it, or leave it empty if it is not known")
    return numbers


def to_days(name: str, values: Values, form: str = "", rows: Sequence[int] | None = None) -> np.ndarray:
    """Unix days with their fraction, NaN where missing.

    Raises:
        BadData: a text that is no date, with its row.
    """
    days = np.empty(len(values))
    known: dict[str, float] = {}
    for place, value in enumerate(values):
        text = value.isoformat() if isinstance(value, date) else to_text(value)
        if text is None:
            days[place] = math.nan
            continue
        if text not in known:
            found = _day(text, form)
            found = _day(text, "") if found is None else found
            if found is None:
                example = datetime(2024, 12, 31).strftime(form or "%Y-%m-%d")
                raise BadData(
                    f"column {name!r} holds dates, but {value!r} in row {_row(rows, place)} is none: write {example}"
                )
            known[text] = found
        days[place] = known[text]
    return days


def _form_of(texts: set[str]) -> str | None:
    """The one form in which all of them are dates: months before days where both are possible."""
    for day in _FORMS:
        for form in (day, f"{day} %H:%M", f"{day} %H:%M:%S") if day else ("",):
            if all(_day(text, form) is not None for text in texts):
                return form
    return None


def _day(text: str, form: str) -> float | None:
    try:
        return _unix(datetime.strptime(text, form) if form else datetime.fromisoformat(text))
    except ValueError:
        return None


def _row(rows: Sequence[int] | None, place: int) -> int:
    return place + 1 if rows is None else rows[place]


def _unix(moment: datetime) -> float:
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() / _DAY


def _normal_quantile(p: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)

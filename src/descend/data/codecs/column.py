"""One column of a table, fitted on training rows: a number, a category, or a date."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from descend.data.errors import BadData

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""What a gap is written as, whatever the case."""

_DAY = 86400.0
_FORMATS = ("%d.%m.%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%d %b %Y", "%b %d, %Y")


class Column(ABC):
    """Turns a column's values into numbers or into one category index.

    Attributes:
        name: of the column.
    """

    name: str

    @abstractmethod
    def encode(self, values: Sequence) -> np.ndarray:
        """float32 [rows, numbers], or int64 [rows] of a category.

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
    def fit(cls, name: str, values: Sequence) -> Number:
        numbers = to_numbers(name, values)
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

    def encode(self, values: Sequence) -> np.ndarray:
        numbers = to_numbers(self.name, values)
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
    def fit(cls, name: str, values: Sequence, least: int = 3, most: int = 1000) -> Category:
        counts = Counter(text for value in values if (text := to_text(value)) is not None)
        kept = [text for text, count in counts.most_common(most) if count >= least] or [
            t for t, _ in counts.most_common(most)
        ]
        return cls(name, tuple(kept))

    def encode(self, values: Sequence) -> np.ndarray:
        places = {value: i for i, value in enumerate(self.values, start=1)}
        return np.array([places.get(to_text(value) or "", 0) for value in values], dtype=np.int64)


@dataclass(frozen=True)
class Date(Column):
    """Days since the first training row, standardised, and the turn of week and year as sines and cosines.

    Args:
        first: the earliest training day, as a Unix day.
        span: days to the latest, at least 1.
        gaps: whether training rows had missing values.
    """

    name: str
    first: float
    span: float
    gaps: bool

    @classmethod
    def fit(cls, name: str, values: Sequence) -> Date:
        days = to_days(name, values)
        first, last = float(np.nanmin(days)), float(np.nanmax(days))
        return cls(name, first, max(last - first, 1.0), bool(np.isnan(days).any()))

    def encode(self, values: Sequence) -> np.ndarray:
        days = to_days(self.name, values)
        missing = np.isnan(days)
        days = np.where(missing, self.first + self.span / 2, days)
        turns = [2 * math.pi * days / period for period in (7.0, 365.2425)]
        waves = [np.where(missing, 0, f(t)) for t in turns for f in (np.sin, np.cos)]
        columns = [(days - self.first) / self.span * 3.46 - 1.73, *waves, *([missing] if self.gaps else [])]
        return np.stack(columns, 1).astype(np.float32)


def find_column(name: str, values: Sequence) -> Column | str:
    """The column that fits these training values, or why it is left out."""
    texts = [text for value in values if (text := to_text(value)) is not None]
    distinct = set(texts)
    if len(distinct) < 2:
        return "it holds one value only" if distinct else "it is empty"
    if _all(is_number, distinct):
        return Number.fit(name, values)
    if _all(lambda text: _day(text) is not None, distinct):
        return Date.fit(name, values)
    if len(distinct) == len(texts) and len(texts) > 20:
        return "every row holds another text, so it says which row it is and nothing else"
    return Category.fit(name, values)


def to_text(value: object) -> str | None:
    """A value as stripped text; None where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return None if text.lower() in MISSING else text


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_numbers(name: str, values: Sequence) -> np.ndarray:
    """float64, NaN where missing.

    Raises:
        BadData: a text or an infinity, with its row.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        numbers = values.astype(np.float64)
    else:
        numbers = np.empty(len(values))
        for row, value in enumerate(values):
            try:
                numbers[row] = math.nan if to_text(value) is None else float(value)
            except (TypeError, ValueError):
                raise BadData(f"column {name!r} holds numbers, but {value!r} in row {row + 1} is none") from None
    if np.isinf(numbers).any():
        row = int(np.isinf(numbers).argmax())
        raise BadData(f"column {name!r} is infinite in row {row + 1}: correct it, or leave it empty if it is not known")
    return numbers


def to_days(name: str, values: Sequence) -> np.ndarray:
    """Unix days with their fraction, NaN where missing."""
    days = np.empty(len(values))
    known: dict[str, float] = {}
    for row, value in enumerate(values):
        text = value.isoformat() if isinstance(value, date) else to_text(value)
        if text is None:
            days[row] = math.nan
            continue
        if text not in known:
            found = _day(text)
            if found is None:
                raise BadData(
                    f"column {name!r} holds dates, but {value!r} in row {row + 1} is none that can be read: "
                    "write 2024-12-31"
                )
            known[text] = found
        days[row] = known[text]
    return days


def _day(text: str) -> float | None:
    try:
        return _unix(datetime.fromisoformat(text))
    except ValueError:
        pass
    for form in _FORMATS:
        try:
            return _unix(datetime.strptime(text, form))
        except ValueError:
            continue
    return None


def _unix(moment: datetime) -> float:
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() / _DAY


def _all(holds, texts: set[str]) -> bool:
    return all(holds(text) for text in texts)


def _normal_quantile(p: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)

"""The type checker of the test run: beartype, taking what type checkers take.

An int passes where a float is asked for (PEP 484, the numeric tower); any text stream passes for TextIO, pytest's own
included, which has no name and no mode.
"""

from io import TextIOBase
from typing import TextIO

from beartype import BeartypeConf, FrozenDict, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({TextIO: TextIOBase})))

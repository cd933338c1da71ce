"""The type checker of the test run: beartype, with an int where a float is asked for, as type checkers take it
(PEP 484, the numeric tower)."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

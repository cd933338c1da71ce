"""Wrong usage: one line that says what was given, what was expected and what to type."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Wrong(Exception):
    """The words of the command line cannot be followed.

    Attributes:
        code: the exit code, 2 where the usage is wrong.
    """

    def __init__(self, message: str, code: int = 2):
        super().__init__(message)
        self.code = code


def nearest(word: str, known: Iterable[str]) -> str:
    """``": did you mean 'digits'?"`` if a known name is near, else nothing; ready to be put behind a message."""
    plain = {_plain(name): name for name in known}
    found = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=0.5)
    return f": did you mean {plain[found[0]]!r}?" if found else ""


def _plain(word: str) -> str:
    """Without what is no part of a name: case, leading dashes, the two ways to write a blank."""
    return word.lower().lstrip("-").replace("_", "-")

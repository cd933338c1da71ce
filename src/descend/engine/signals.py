"""Signals that ask a run to stop: the step is finished, a checkpoint committed, and the process says so by its code."""

from __future__ import annotations

import signal
import threading
from types import FrameType

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 75}
"""SIGUSR1 is what schedulers send ahead of a pre-emption; 75 is EX_TEMPFAIL: try again later."""


class Signals:
    """Inside ``with``, a signal sets `code` and does nothing else; a second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        self.code = 0
        self._before: dict = {}

    def __enter__(self) -> Signals:
        # Python lets only the main thread set handlers; elsewhere the program around us has its own.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in CODES}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.code and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.code = CODES[signal.Signals(number)]

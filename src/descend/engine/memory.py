"""Whether the C library keeps memory that was freed.

glibc gives large blocks back to the kernel as soon as they are freed, and every training step frees all it took: the
next one faults each page in again. Told to keep them, steps of a few milliseconds take up to half the time on CPU.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of mallopt's parameters, from glibc's malloc.h."""
_HELD = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 256 * 2**20}
_USUAL = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 128 * 2**10, _TOP_PAD: 128 * 2**10}

_held = False


def held() -> bool:
    """Whether this process keeps freed memory."""
    return _held


def hold(on: bool) -> bool:
    """Keep freed memory in the process, or give it back as usual; whether it is now so."""
    global _held
    if on == _held:
        return True
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = [mallopt(name, value) for name, value in (_HELD if on else _USUAL).items()]
    if all(done):
        _held = on
    return _held == on

"""SplitMix64 on Python's integers, of any size and cut to 64 bits (Steele, Lea, Flood 2014, figure 17)."""

from collections.abc import Iterator
from itertools import islice

CUT = 2**64


def splitmix64(seed: int) -> Iterator[int]:
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) % CUT
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % CUT
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % CUT
        yield z ^ (z >> 31)


def first(count: int, seed: int) -> list[int]:
    return list(islice(splitmix64(seed), count))

"""Randomness as a function of a key.

No generator here remembers anything: what is drawn depends only on the numbers that name the draw: (seed, epoch) for a
shuffle, (seed, epoch, sample) for an augmentation, (seed, step) for dropout. A run killed and resumed, or run on other
workers or ranks, so draws the same numbers.

The mixing function is SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", fig. 17).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def mix(*keys: int) -> int:
    """One number in [0, 2^63) from any integers; their order matters."""
    state = 0
    for key in keys:
        state = (state + (key & _MASK) + _GOLDEN) & _MASK
        state = ((state ^ (state >> 30)) * _FIRST) & _MASK
        state = ((state ^ (state >> 27)) * _SECOND) & _MASK
        state ^= state >> 31
    return state >> 1


def reseed(*keys: int) -> None:
    """Set torch's default generators (CPU, and CUDA where there is one) by a key.

    The generators' own ``manual_seed`` takes 1 µs; ``torch.manual_seed`` visits every back end and takes a hundred.
    """
    seed = mix(*keys)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def generator(*keys: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator that starts at the key."""
    return torch.Generator(device).manual_seed(mix(*keys))


def permutation(n: int, *keys: int) -> Int[Tensor, "n"]:
    """The numbers 0 … n-1 in an order that depends on the key alone."""
    return torch.randperm(n, generator=generator(*keys))


def hashed(ids: Int[Tensor, "n"], *keys: int) -> Int[Tensor, "n"]:
    """A 64-bit hash of every id under the key: the key of a sample's own draws, the same in any batch."""
    state = ids.to(torch.int64) * _signed(_GOLDEN) + _signed(mix(*keys))
    state = (state ^ _shifted(state, 30)) * _signed(_FIRST)
    state = (state ^ _shifted(state, 27)) * _signed(_SECOND)
    return state ^ _shifted(state, 31)


def uniform(keys: Int[Tensor, "n"], draw: int) -> Float[Tensor, "n"]:
    """A number in [0, 1) for every key; ``draw`` numbers the draws that one sample makes."""
    return _shifted(hashed(keys, draw), 40).to(torch.float32) * 2.0**-24


def normal(keys: Int[Tensor, "n"], draw: int) -> Float[Tensor, "n"]:
    """A standard normal number for every key (Box and Muller 1958); draws do not meet those of `uniform`."""
    radius = torch.sqrt(-2 * torch.log1p(-uniform(keys, -2 * draw - 1)))
    return radius * torch.cos(2 * math.pi * uniform(keys, -2 * draw - 2))


def normals(keys: Int[Tensor, "n"], many: int) -> Float[Tensor, "n many"]:
    """So many standard normal numbers for every key, as a picture's noise needs; two at a time (Box and Muller 1958).

    They are numbered on from the key's hash, so that no two keys share any.
    """
    pairs = -(-many // 2)
    ids = (hashed(keys)[:, None] + torch.arange(pairs, device=keys.device)).flatten()
    radius, angle = torch.sqrt(-2 * torch.log1p(-uniform(ids, 0))), 2 * math.pi * uniform(ids, 1)
    both = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1)
    return both.view(len(keys), 2 * pairs)[:, :many]


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _shifted(state: Tensor, bits: int) -> Tensor:
    """A logical right shift; torch's own copies the sign."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)

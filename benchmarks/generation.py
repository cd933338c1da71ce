"""How fast texts are told, and what long texts cost in memory.

    python benchmarks/generation.py speed      # tokens a second, held against reading all weights once a token
    python benchmarks/generation.py memory     # of a training step, by length; of the loss, by vocabulary

Telling one text reads every weight for each token, so that no way of computing is faster than memory gives them: the
limit is bytes of the weights over the measured rate.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from descend.engine.limits import measure
from descend.losses import word_cross_entropy
from descend.models import GPT, RecurrentLanguage
from descend.nn import GELU, LSTM, LearnedPositions, Rotary
from descend.tasks import Greedy, generate

MOST = 64
"""Tokens that are told."""


def speed() -> None:
    """GPT-2's size, of weights that know nothing."""
    model = GPT(50257, 768, 12, 12, LearnedPositions(1024, 768), activation=GELU("tanh")).eval()
    weights = 4 * sum(p.numel() for p in model.parameters())
    limit = measure().copy / weights
    print(f"GPT-2, {weights / 2**20:.0f} MiB of weights in float32; limit {limit:.1f} tokens/s for one text")
    prompt = list(range(32))
    with torch.no_grad():
        rows = {"all anew": lambda n: _anew(model, prompt), "remembered": lambda n: _told(model, prompt, n)}
        for name, way in rows.items():
            _said(name, 1, way, limit)
        _said("remembered", 8, rows["remembered"], limit)
        model.states = torch.compile(model.states, dynamic=True)
        _told(model, prompt, 1)
        _said("and compiled", 1, rows["remembered"], limit)
        _said("and compiled", 8, rows["remembered"], limit)


def _said(name: str, texts: int, way: Callable[[int], int], limit: float) -> None:
    begin = time.perf_counter()
    told = way(texts)
    rate = told / (time.perf_counter() - begin)
    print(f"{name:14} {texts} texts: {rate:7.1f} tokens/s, {rate / texts / limit:.0%} of the limit", flush=True)


def _told(model: GPT, prompt: list[int], texts: int) -> int:
    memory = model.memory(texts, len(prompt) + MOST)
    return texts * sum(1 for _ in generate(memory, [prompt] * texts, MOST, Greedy()))


def _anew(model: GPT, prompt: list[int]) -> int:
    text = list(prompt)
    for _ in range(MOST):
        text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
    return MOST


def memory() -> None:
    """Each in a process of its own, whose largest size is asked at its end."""
    for kind in ("gpt", "lstm"):
        for length in (256, 512, 1024, 2048, 4096, 8192):
            print(f"{kind:5} a training step on {length:5} tokens: {_size(kind, length):5.0f} MiB", flush=True)
    for way in ("all", "parts"):
        print(f"logits of 8 × 512 tokens and 50,257 words, {way:5}: {_size(way, 512):5.0f} MiB", flush=True)


def _size(kind: str, length: int) -> float:
    words = [sys.executable, __file__, "one", kind, str(length)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def one(kind: str, length: int) -> None:
    """MiB that a training step takes beside what was there before it."""
    tokens = torch.randint(0, 256, (1, length))
    if kind in ("gpt", "lstm"):
        model = GPT(256, 256, 8, 4, Rotary(32)) if kind == "gpt" else RecurrentLanguage(LSTM(), 256, 512, 2)
        before = _held()
        word_cross_entropy(model.states(tokens), tokens, model.logits.weight).value().backward()
    else:
        states, weight = torch.randn(8, length, 256, requires_grad=True), torch.randn(50257, 256, requires_grad=True)
        words = torch.randint(0, 50257, (8, length))
        before = _held()
        if kind == "parts":
            word_cross_entropy(states, words, weight).value().backward()
        else:
            torch.nn.functional.cross_entropy((states @ weight.T).flatten(0, 1), words.flatten()).backward()
    print(_held() - before)


def _held() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How fast texts are told, and what long texts cost.")
    parser.add_argument("which", choices=("speed", "memory", "one"))
    parser.add_argument("more", nargs="*")
    given = parser.parse_args()
    if given.which == "one":
        one(given.more[0], int(given.more[1]))
    else:
        {"speed": speed, "memory": memory}[given.which]()

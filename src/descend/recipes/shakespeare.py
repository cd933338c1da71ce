"""A text, letter by letter: after three minutes it speaks in verses, and in words that are nearly English."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from torch import nn

from descend.data import Apart, TextCodec, datasets
from descend.engine import Choice, Experiment, recipe
from descend.models import GPT, RecurrentLanguage
from descend.nn import LSTM, PreNorm, RMSNorm, Rotary, SquaredReLU
from descend.optim import AdamW, ClipNorm, Muon, OneCycle, Optimizer
from descend.tasks import Language


def gpt(vocabulary: int, width: int, layers: int, dropout: float) -> tuple[nn.Module, Optimizer]:
    """Rotary positions, root-mean-square norms, squared ReLUs; at least four heads, as wide as nanoGPT's."""
    heads = max(4, width // 64)
    network = GPT(
        vocabulary,
        width,
        heads,
        layers,
        Rotary(width // heads),
        activation=SquaredReLU(),
        order=PreNorm(RMSNorm()),
        bias=False,
        dropout=dropout,
    )
    return network, Muon(0.015, weight_decay=0.1, rest_lr=3e-3, schedule=OneCycle(0.15))


def lstm(vocabulary: int, width: int, layers: int, dropout: float) -> tuple[nn.Module, Optimizer]:
    """Two layers, twice as wide as the other, which makes them as large."""
    return (
        RecurrentLanguage(LSTM(), vocabulary, 2 * width, 2, dropout=dropout),
        AdamW(4e-3, weight_decay=0.01, schedule=OneCycle(), clip=ClipNorm(1.0)),
    )


@recipe
def shakespeare(
    model: Annotated[Callable[[int, int, int, float], tuple[nn.Module, Optimizer]], Choice(gpt=gpt, lstm=lstm)] = gpt,
    data: Path | None = None,
    width: int = 128,
    layers: int = 4,
    length: int = 64,
    batch: int = 12,
    steps: int = 2000,
    dropout: float = 0.0,
    encoding: str = "utf-8",
) -> Experiment:
    """Tell a text on, letter by letter: Shakespeare's, or any other; of a folder **/*.txt, by pieces of words.

    descend train shakespeare --precision float32               # 1.596 in 175 s, on one core
    descend train shakespeare --model lstm                      # 1.645 in 112 s
    descend train shakespeare --data any.txt
    descend train shakespeare --data folder --length 128 --batch 32
    # For a GPU, or 57 min on one core: 1.446
    descend train shakespeare --width 384 --layers 6 --length 256 --batch 32 --steps 1200 --dropout 0.2
    """
    if data is None:
        splits = datasets.shakespeare(length)
    elif data.is_dir():
        splits = datasets.corpus(data, length=length, encoding=encoding)
    else:
        splits = datasets.text(data, length=length, encoding=encoding)
    assert isinstance(splits.codec, TextCodec)
    network, optimizer = model(splits.codec.vocabulary, width, layers, dropout)
    # Rotary positions were learned up to the window; a state has none.
    task = Language(network, optimizer, window=length if isinstance(network, GPT) else None)
    return Experiment(
        task=task, data=splits, batch=batch, steps=steps, every=500, shuffle=Apart(len(splits.train), length)
    )

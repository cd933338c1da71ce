"""Trained networks from folders, whoever wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from descend import engine
from descend.engine import Predictor


def load(folder: str | Path, classes: Mapping[str, type] | None = None) -> Predictor:
    """A predictor from a run's folder or its model; or from a folder of Hugging Face (config.json, safetensors,
    tokenizer.json) of the families bert, gpt2, llama and marian.

    Nothing that the folder brings is executed: classes are descend's own, or those handed over in ``classes``.

    >>> load("runs/digits-1").predict("seven.png")
    >>> load("gpt2").predict("Once upon a time")["text"]

    Raises:
        ModelError: a file of ours is missing, torn, changed, of a newer format, or does not fit.
        BadData: a file of theirs is.
    """
    folder = Path(folder)
    ours = any((place / "model.json").exists() for place in (folder, folder / "model"))
    if ours or not (folder / "config.json").exists():
        return engine.load(folder, classes)
    from descend.ship.huggingface import predictor

    return predictor(folder)

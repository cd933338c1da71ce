"""What a network answered and how it came to it, where that is no picture: kept as looks.json, drawn by the report.

examples   texts given, meant and answered
attention  how much each word that was told asked each that was read (Bahdanau et al. 2015, figure 3)
reach      how much the loss at the end depends on each step of a row: gradients that vanish or explode on their way
           back (Pascanu et al. 2013, section 2)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from descend.data import Codec, Data, TextCodec
from descend.engine import Predictor, Task
from descend.functional import keyed
from descend.models import RecurrentTranslator
from descend.tasks import Translate

MOST = 12
"""Examples that are told."""
ROWS = 64
"""Rows whose gradients are averaged."""


def looks(task: Task, codec: Codec | None, data: Data | None, path: Path) -> Path | None:
    """Write what there is to be seen of samples that a fixed key chooses; None where there is nothing.

    Args:
        task: with its learned weights.
        data: of the test split.
        path: of the file.
    """
    if codec is None or data is None:
        return None
    found = {"examples": examples(task, codec, data), "attention": attention(task, data), "reach": reach(task, data)}
    found = {name: value for name, value in found.items() if value}
    if not found:
        return None
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return path


def examples(task: Task, codec: Codec, data: Data) -> list[dict[str, str]]:
    """What was given, meant and answered, in words."""
    predictor, told = Predictor(task, codec), []
    for number in keyed.permutation(len(data), 0)[:MOST].tolist():
        batch = data.gather(torch.tensor([number]))
        sample = {name: tensor[0] for name, tensor in batch.items()}
        if codec.words(sample) is None:
            return []
        told.append(codec.words(sample, predictor.outputs(**batch.inputs)[0]))
    return told


def attention(task: Task, data: Data) -> dict[str, Any] | None:
    """Of a translator whose decoder asks once a word: the words of one text, those of its answer, and the shares."""
    if not isinstance(task, Translate) or not isinstance(task.model, RecurrentTranslator):
        return None
    # The longest of a few is the most to look at.
    numbers = keyed.permutation(len(data), 0)[:MOST]
    batch = max((data.gather(number[None]) for number in numbers), key=lambda one: one["tokens"].shape[1])
    model, codec = task.model, task.codec
    told = Predictor(task).outputs(**batch.inputs)[0]
    told = told[: (told == codec.end).nonzero()[0, 0] + 1] if (told == codec.end).any() else told
    answer = torch.cat([told.new_tensor([task.begin]), told])[None, :-1]
    with torch.no_grad():
        asked = model.eval().tell(answer, model.encode(batch["tokens"]))[2][0]
    return {
        "read": pieces(codec, batch["tokens"][0].tolist()),
        "told": pieces(codec, told.tolist()),
        "shares": [[round(share, 3) for share in row] for row in asked.tolist()],
    }


def pieces(codec: TextCodec, tokens: list[int]) -> list[str]:
    """Each token as a piece of text; one that ends a text by its own name."""
    return [codec.tokens.decode([token]).strip() or str(codec.tokens.id_to_token(token)) for token in tokens]


def reach(task: Task, data: Data) -> list[float] | None:
    """For each step of a row, the length of the gradient of the loss by what was read there, averaged over rows; of
    tasks that read rows of numbers, [batch, time, width] as ``x``."""
    if not data.alike:
        return None
    batch = data.gather(torch.arange(min(ROWS, len(data))))
    x = batch.get("x")
    if x is None or x.ndim != 3 or not x.is_floating_point() or x.shape[1] < 2:
        return None
    x = x.clone().requires_grad_()
    loss = task.eval().loss(type(batch)({**batch, "x": x}))
    if isinstance(loss, dict):
        return None
    total = torch.stack([term.total for term in loss.terms]).sum()
    (gradient,) = torch.autograd.grad(total, [x])
    return gradient.norm(dim=2).mean(0).tolist()

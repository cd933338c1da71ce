"""bAbI: small stories and a question about each, to be answered by one word (Weston et al. 2015)."""

from __future__ import annotations

import re
import zipfile

import torch

from descend.data.codecs.story import StoryCodec, words_of
from descend.data.data import Tensors
from descend.data.datasets.files import Official
from descend.data.errors import BadData
from descend.data.splits import Splits, split

BABI = Official("babi.zip", "", 2_628_000, "93a6c6db06cdf45ab81969fdc34bd99e585911a6f5f54789f4861d203ae7cdf7")

Example = tuple[list[list[str]], list[str], str]
"""A story's sentences, the question, the answer."""


def babi(task: int, sentences: int = 50, key: int = 0) -> Splits:
    """One of the 20 tasks: 9,000 questions to learn from, 1,000 for validation by key, and its own 1,000 for test.

    Args:
        task: 1 … 20.
        sentences: of a story, the last so many.

    Raises:
        BadData: there is no such task, or its training file is missing.
    """
    with zipfile.ZipFile(BABI.find()) as archive:
        names = {name for name in archive.namelist() if re.match(rf"babi/qa{task}_", name)}
        files = {part: next((n for n in names if n.endswith(f"_{part}.txt")), None) for part in ("train", "test")}
        parts = {part: _examples(archive.read(name).decode()) if name else [] for part, name in files.items()}
    if not parts["train"] or not parts["test"]:
        raise BadData(f"bAbI has no task {task} with both files: there are 1 … 20, and 3 lacks the one to learn from")
    train, held = split(len(parts["train"]), (0.9, 0.1), key)
    words = sorted({word for story, question, _ in parts["train"] for part in [*story, question] for word in part})
    longest = max(len(part) for story, question, _ in parts["train"] for part in [*story, question])
    most = min(sentences, max(len(story) for story, *_ in parts["train"]))
    labels = tuple(sorted({answer for *_, answer in parts["train"]}))
    codec = StoryCodec(tuple(words), labels, most, longest)
    chosen = [[parts["train"][i] for i in part.tolist()] for part in (train, held)]
    data = [_tensors(rows, codec, labels) for rows in (*chosen, parts["test"])]
    return Splits(data[0], data[1], data[2], codec, f"babi-{task}")


def _examples(text: str) -> list[Example]:
    found, story = [], []
    for line in text.splitlines():
        number, _, rest = line.partition(" ")
        story = [] if number == "1" else story
        if "\t" in rest:
            question, answer, *_ = rest.split("\t")
            found.append((list(story), words_of(question), answer.strip()))
        else:
            story.append(words_of(rest))
    return found


def _tensors(rows: list[Example], codec: StoryCodec, labels: tuple[str, ...]) -> Tensors:
    inputs = [codec.numbers(story, question) for story, question, _ in rows]
    target = torch.tensor([labels.index(answer) for *_, answer in rows])
    return Tensors(**{name: torch.stack([one[name] for one in inputs]) for name in inputs[0]}, target=target)

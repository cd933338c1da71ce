"""Texts with their words labelled, in the files that people keep them in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from descend.data.codecs.tag import TagCodec
from descend.data.datasets.texts import Texts, labels_of
from descend.data.errors import BadData
from descend.data.reading import read_lines
from descend.data.splits import Splits

Tagged = list[tuple[str, str]]
"""The words of a text and their labels."""


def conll(path: Path, column: int = -1, encoding: str = "utf-8") -> list[Tagged]:
    """Texts of a file with a word a line, its label in a later column, and an empty line behind each text (Tjong Kim
    Sang and De Meulder 2003).

    Raises:
        BadData: a line has one column alone, or not the one that is asked for.
    """
    found: list[Tagged] = [[]]
    for number, line in enumerate(read_lines(path, encoding), 1):
        fields = line.split()
        if not fields or fields[0] == "-DOCSTART-":
            found.append([])
        elif len(fields) == 1:
            raise BadData(f"{path}, line {number}: {line!r} has no label; a line is a word and its label")
        elif not -len(fields) <= column < len(fields):
            raise BadData(f"{path}, line {number}: {line!r} has {len(fields)} columns, and {column} is asked for")
        else:
            found[-1].append((fields[0], fields[column]))
    return [text for text in found if text]


def tagged(
    parts: Sequence[Sequence[Tagged]], codec: TagCodec | None = None, length: int = 128, name: str = "tags"
) -> Splits:
    """Labelled words, for training, validation and test; tokens are the training texts' words, unless a codec is given.

    Raises:
        BadData: a part is empty, or has a label that no training text has.
    """
    labels = labels_of([[label for text in part for _, label in text] for part in parts], name)
    if codec is None:
        from descend.data.tokens import words

        codec = TagCodec(words(" ".join(word for word, _ in text) for text in parts[0]).to_str(), length)
    data = []
    for part in parts:
        texts, targets = [], []
        for text in part:
            numbers, first = codec.pieces([word for word, _ in text])
            target = [-100] * len(numbers)
            for at, (_, label) in zip(first, text, strict=False):
                if at is not None:
                    target[at] = labels.index(label)
            texts.append(numbers)
            targets.append(target)
        data.append(Texts(texts, targets, end=None))
    return Splits(data[0], data[1], data[2], codec.answering(labels), name)

"""Texts with their words labelled, and texts with questions about them, in the files that people keep them in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.batch import Batch
from descend.data.codecs.codec import classes_of
from descend.data.codecs.words import AnswerCodec, TagCodec
from descend.data.data import Data
from descend.data.datasets.texts import PARTS, Texts, padded
from descend.data.errors import BadData
from descend.data.reading import read_lines, read_text
from descend.data.splits import Splits
from descend.data.vocabulary import PAD

Tagged = list[tuple[str, str]]
"""The words of a text and their labels."""


def conll(path: Path, column: int = -1, encoding: str = "utf-8") -> list[Tagged]:
    """Texts of a file with a word a line, its label in a later column, and an empty line behind each text (Tjong Kim
    Sang and De Meulder 2003).

    Raises:
        BadData: a line has one column alone.
    """
    found: list[Tagged] = [[]]
    for number, line in enumerate(read_lines(path, encoding), 1):
        fields = line.split()
        if not fields or fields[0] == "-DOCSTART-":
            found.append([])
        elif len(fields) == 1:
            raise BadData(f"{path}, line {number}: {line!r} has no label; a line is a word and its label")
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
    labels = classes_of([label for text in parts[0] for _, label in text], name)
    if codec is None:
        from descend.data.tokens import words

        codec = TagCodec(words(" ".join(word for word, _ in text) for text in parts[0]).to_str(), length)
    codec = TagCodec(codec.tokenizer, codec.length, labels, codec.encoding)
    data = []
    for part, word in zip(parts, PARTS, strict=True):
        strange = sorted({label for text in part for _, label in text} - set(labels))
        if strange or not part:
            what = f"has the label {strange[0]!r}, which no training text has" if strange else "is empty"
            raise BadData(f"{name}: the {word} part {what}")
        texts, targets = [], []
        for text in part:
            numbers, first = codec.pieces([word for word, _ in text])
            target = [-100] * len(numbers)
            for at, (_, label) in zip(first, text, strict=False):
                target[at] = labels.index(label)
            texts.append(numbers)
            targets.append(target)
        data.append(Texts(texts, targets, end=None))
    return Splits(data[0], data[1], data[2], codec, name)


class Questions(Data):
    """``tokens``, ``kept``, ``segments`` [batch, time] of questions and texts, and ``target`` [batch, 2].

    Args:
        inputs: of each question, as `AnswerCodec` encodes it.
        target: its answer's first and last token.
    """

    def __init__(self, inputs: Sequence[dict[str, Tensor]], target: Int[Tensor, "n 2"]):
        self.inputs = inputs
        self.target = target

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def lengths(self) -> Int[Tensor, "n"]:
        return torch.tensor([len(one["tokens"]) for one in self.inputs])

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        chosen = [self.inputs[number] for number in index.tolist()]
        tokens, segments = (padded([one[name].numpy() for one in chosen], PAD) for name in ("tokens", "segments"))
        kept = torch.arange(tokens.shape[1]) < self.lengths[index][:, None]
        return Batch(tokens=tokens, kept=kept, segments=segments, target=self.target[index])

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.target.numpy().tobytes())
        for one in self.inputs:
            digest.update(one["tokens"].numpy().tobytes())
        return digest.hexdigest()[:16]


Question = tuple[str, str, int, int]
"""Text, question, and the first and the last letter's place of the answer."""


def squad(path: Path) -> list[Question]:
    """Questions of a file in the form of SQuAD (Rajpurkar et al. 2016), each with the first of its answers; those that
    have none are left out.

    Raises:
        BadData: the file is of another form, or an answer does not stand where it is said to.
    """
    found = []
    try:
        for article in json.loads(read_text(path))["data"]:
            for paragraph in article["paragraphs"]:
                text = paragraph["context"]
                for asked in paragraph["qas"]:
                    for answer in asked["answers"][:1]:
                        begin = answer["answer_start"]
                        end = begin + len(answer["text"])
                        if text[begin:end] != answer["text"]:
                            raise BadData(f"{path}: {answer['text']!r} does not stand at {begin} of {text[:60]!r}")
                        found.append((text, asked["question"], begin, end))
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, BadData):
            raise
        raise BadData(f"{path} is not of SQuAD's form ({type(error).__name__}: {error})") from None
    return found


def questions(
    parts: Sequence[Sequence[Question]],
    codec: AnswerCodec | None = None,
    vocabulary: int = 8000,
    length: int = 384,
    name: str = "questions",
) -> Splits:
    """Questions about texts; tokens are pieces of the training texts' words, unless a codec is given. What a text has
    beyond ``length`` is cut, and a question whose answer lies there is left out.

    Raises:
        BadData: a part is empty.
    """
    if codec is None:
        from descend.data.tokens import word_pieces

        texts = dict.fromkeys(text for row in parts[0] for text in row[:2])
        codec = AnswerCodec(word_pieces(texts, vocabulary).to_str(), length)
    data = []
    for part, word in zip(parts, PARTS, strict=True):
        inputs, targets = [], []
        for text, question, begin, end in part:
            place = codec.span(text, question, begin, end)
            if place is not None:
                inputs.append(codec.encode({"text": text, "question": question}))
                targets.append(place)
        if not inputs:
            raise BadData(f"{name}: the {word} part has no question whose answer lies in the first {length} tokens")
        data.append(Questions(inputs, torch.tensor(targets)))
    return Splits(data[0], data[1], data[2], codec, name)

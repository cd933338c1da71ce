"""Texts and questions about them, in the files that people keep them in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.batch import Batch
from descend.data.codecs.question import AnswerCodec
from descend.data.data import Data
from descend.data.datasets.texts import PARTS, padded
from descend.data.errors import BadData
from descend.data.reading import read_text
from descend.data.splits import Splits
from descend.data.vocabulary import PAD


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

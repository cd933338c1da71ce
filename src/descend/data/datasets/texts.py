"""Texts with an answer each: a class, or another text. Held as tokens; a batch is padded to its longest."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.batch import Batch
from descend.data.codecs.codec import classes_of
from descend.data.codecs.text import TextCodec
from descend.data.data import Data
from descend.data.datasets.files import Official
from descend.data.datasets.rows import Rows, parallel, rows
from descend.data.errors import BadData
from descend.data.reading import read_lines
from descend.data.splits import Splits, split
from descend.data.vocabulary import END, PAD

Tokens = Sequence[Sequence[int]]
PARTS = ("training", "validation", "test")

SST2 = {
    "train": Official(
        "sst2/train.tsv", "", 720_259, "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"
    ),
    "dev": Official("sst2/dev.tsv", "", 92_057, "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
    "test": Official("sst2/test.tsv", "", 188_749, "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
}
MULTI30K = {
    "train.en": (568_929, "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
    "train.de": (637_044, "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
    "val.en": (21_650, "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
    "val.de": (24_681, "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
    "test_2016_flickr.en": (21_077, "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"),
    "test_2016_flickr.de": (22_890, "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"),
}
SYNOPSES = Official(
    "debian-synopses.jsonl.gz", "", 2_413_077, "63c7184b2f798d23ffc91b40794c50a9d10782c0922ac7fcf7a6b41704d346f1"
)


class Texts(Data):
    """``tokens`` and ``kept`` [batch, time], padded behind, and ``target``: a class; or the tokens of an answer and the
    end behind them, padded by -100.

    Args:
        texts: their tokens.
        target: class numbers, or the answers' tokens.
        end: the token that ends an answer, put behind it where it is not there; none if None, as where each token has
            an answer.

    Raises:
        BadData: a text has no token, or there are not as many answers as texts.
    """

    def __init__(self, texts: Tokens, target: Sequence[int] | np.ndarray | Tokens, end: int | None = END):
        if len(texts) != len(target):
            raise BadData(f"{len(texts)} texts have {len(target)} answers: give one each")
        empty = [number for number, text in enumerate(texts) if not len(text)]
        if empty or not texts:
            which = f"text {empty[0]} has no token" if empty else "there is not one text"
            raise BadData(f"{which}: leave out what is empty")
        self.texts = [np.array(text, np.int32) for text in texts]
        classes = np.ndim(target[0]) == 0
        self.classes = np.array(target) if classes else None
        self.answers = None if classes else [np.array(_ended(answer, end), np.int32) for answer in target]  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def lengths(self) -> Int[Tensor, "n"]:
        """Tokens of each text, and of its answer."""
        own = [len(text) for text in self.texts]
        if self.answers is not None:
            own = [a + len(answer) for a, answer in zip(own, self.answers, strict=True)]
        return torch.tensor(own)

    def targets(self) -> Int[Tensor, "n"]:
        if self.classes is None:
            return super().targets()
        return torch.from_numpy(self.classes)

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        numbers = index.tolist()
        texts = [self.texts[number] for number in numbers]
        tokens = padded(texts, PAD)
        kept = torch.arange(tokens.shape[1]) < torch.tensor([len(text) for text in texts])[:, None]
        if self.answers is None:
            assert self.classes is not None
            return Batch(tokens=tokens, kept=kept, target=torch.from_numpy(self.classes[numbers]))
        return Batch(tokens=tokens, kept=kept, target=padded([self.answers[number] for number in numbers], -100))

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for part in (self.texts, self.answers or [], [] if self.classes is None else [self.classes]):
            for row in part:
                digest.update(len(row).to_bytes(4, "little") + row.tobytes())
        return digest.hexdigest()[:16]


def padded(rows: Sequence[np.ndarray], by: int) -> Int[Tensor, "batch time"]:
    """Rows of unlike lengths as one tensor."""
    whole = torch.full((len(rows), max(map(len, rows))), by)
    for place, row in enumerate(rows):
        whole[place, : len(row)] = torch.from_numpy(row)
    return whole


def _ended(answer: Sequence[int], end: int | None) -> list[int]:
    return list(answer) if end is None or list(answer[-1:]) == [end] else [*answer, end]


def labelled(
    parts: Sequence[Rows],
    codec: TextCodec | None = None,
    length: int = 128,
    name: str = "texts",
    encoding: str = "utf-8",
    column: str = "text",
) -> Splits:
    """Texts and their labels, for training, validation and test; tokens are the words of the training texts, unless a
    codec is given. What is longer than ``length`` tokens is cut.

    Args: encoding, column: of the files that they come from, as others are asked about later.

    Raises:
        BadData: a part is empty, has a label that no training text has, or a text without a word.
    """
    labels = labels_of([[label for _, label in part] for part in parts], name)
    if codec is None:
        from descend.data.tokens import words

        codec = TextCodec(words(text for text, _ in parts[0]).to_str(), length)
    codec = codec.answering(labels).reading(encoding, column)
    texts = _numbers(parts, 0, codec, name)
    data = [Texts(own, [labels.index(label) for _, label in part]) for own, part in zip(texts, parts, strict=True)]
    return Splits(data[0], data[1], data[2], codec, name)


def labels_of(parts: Sequence[list[str]], name: str) -> tuple[str, ...]:
    """The labels of training, validation and test, as the training part has them.

    Raises:
        BadData: a part is empty, or has a label that the training part has not.
    """
    labels = classes_of(parts[0], name)
    for part, word in zip(parts, PARTS, strict=True):
        strange = sorted(set(part) - set(labels))
        if strange or not part:
            what = f"has the label {strange[0]!r}, which no training text has" if strange else "is empty"
            raise BadData(f"{name}: the {word} part {what}")
    return labels


def pairs(
    parts: Sequence[Rows],
    codec: TextCodec | None = None,
    vocabulary: int = 8000,
    length: int = 128,
    name: str = "pairs",
    encoding: str = "utf-8",
    column: str = "text",
) -> Splits:
    """Texts and their answers, for training, validation and test. One tokenizer reads both: byte pairs of the training
    texts, unless a codec is given. What is longer than ``length`` tokens is cut, on both sides, an answer with its end.

    Args: encoding, column: as of `labelled`.

    Raises:
        BadData: a part is empty, or a text without a word.
    """
    for part, word in zip(parts, PARTS, strict=True):
        if not part:
            raise BadData(f"{name}: the {word} part is empty")
    if codec is None:
        from descend.data.tokens import byte_pairs

        codec = TextCodec(byte_pairs((text for pair in parts[0] for text in pair), vocabulary).to_str(), length)
    codec = codec.reading(encoding, column)
    room = None if codec.length is None else codec.length - 1  # beside the end
    both = zip(_numbers(parts, 0, codec, name), _numbers(parts, 1, codec, name), strict=True)
    data = [Texts(own, [answer[:room] for answer in answers], codec.end) for own, answers in both]
    return Splits(data[0], data[1], data[2], codec, name)


def by_key(found: Sequence[Any], key: int = 0, labels: bool = False) -> list[list[Any]]:
    """Cut 80/10/10 by key; with ``labels``, rows of each second column alike. Rows of one text stay together, as what
    was learned from must not be asked again."""
    alike: dict[Any, list[Any]] = {}
    for row in found:
        text = row[0] if isinstance(row[0], str) else tuple(row)  # of labelled words, all of them
        alike.setdefault(text, []).append(row)
    groups, classes = list(alike.values()), None
    if labels:
        places = {label: number for number, label in enumerate(dict.fromkeys(group[0][1] for group in groups))}
        classes = torch.tensor([places[group[0][1]] for group in groups])
    parts = split(len(groups), (0.8, 0.1, 0.1), key, classes=classes)
    return [[row for i in part.tolist() for row in groups[i]] for part in parts]


def _numbers(parts: Sequence[Rows], side: int, codec: TextCodec, name: str) -> list[list[list[int]]]:
    """Tokens of the texts on one side, part by part."""
    found, cut = [], 0
    for part in parts:
        found.append([codec.numbers(row[side]) for row in part])
        for row, numbers in zip(part, found[-1], strict=True):
            if not numbers:
                raise BadData(f"{name}: a text has no word; the row is {row!r}: leave it out")
            if len(numbers) == codec.length:
                cut += len(codec.tokens.encode(row[side], add_special_tokens=codec.marked)) > len(numbers)
    if cut:
        of = f"{sum(map(len, parts)):,} {('texts', 'answers')[side]}"
        warnings.warn(f"{name}: {cut:,} of {of} have more than {codec.length} tokens, and are cut", stacklevel=4)
    return found


def sst2(codec: TextCodec | None = None, length: int = 64) -> Splits:
    """Sentences of film reviews, negative or positive, in the data set's own parts (Socher et al. 2013)."""

    def read(part: str) -> Rows:
        lines = [line.rsplit("\t", 1) for line in read_lines(SST2[part].find())]
        return [(text, ("negative", "positive")[int(label)]) for text, label in lines]

    return labelled([read("train"), read("dev"), read("test")], codec, length, "sst2")


def multi30k(source: str = "en", answer: str = "de", vocabulary: int = 8000, length: int = 80) -> Splits:
    """Captions of pictures in English and German, 29,000 to learn from; asked is the test of 2016 (Elliott et al.
    2016)."""

    def read(part: str) -> Rows:
        names = [f"{part}.{side}" for side in (source, answer)]
        first, second = (Official(f"multi30k/{name}.gz", "", *MULTI30K[name]).find() for name in names)
        return parallel(first, second)

    if {source, answer} != {"en", "de"}:
        raise BadData(f"multi30k from {source!r} to {answer!r}: it is known here in en and de")
    return pairs([read("train"), read("val"), read("test_2016_flickr")], None, vocabulary, length, "multi30k")


def synopses(vocabulary: int = 8000, length: int = 160, key: int = 0) -> Splits:
    """Descriptions of Debian's packages and their synopses, 80/10/10 by key."""
    found = rows(SYNOPSES.find(), "text", "summary")
    return pairs(by_key(found, key), None, vocabulary, length, "synopses")

"""Texts to learn a language from: one long row of tokens, of which every stretch is a sample."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.batch import Batch
from descend.data.codecs.text import PromptCodec, TextCodec
from descend.data.data import Data
from descend.data.datasets.files import Official, cache
from descend.data.errors import BadData
from descend.data.reading import read_text
from descend.data.splits import Splits, split

SHAKESPEARE = Official(
    "tinyshakespeare/input.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    1_115_394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)

LONGEST = 4096
"""Tokens of a text that is told on, at most."""


class Windows(Data):
    """Stretches of a text: ``tokens`` and, one place on, ``target``, [length] each.

    Args:
        row: all tokens, in memory or mapped from a file (``np.memmap``), so that a text may be larger than memory.
        length: of a stretch.
        stride: from one stretch's beginning to the next one's; stretches overlap where it is below the length.

    Raises:
        BadData: the text holds no stretch.
    """

    def __init__(self, row: np.ndarray, length: int, stride: int = 1):
        if len(row) <= length:
            raise BadData(
                f"the text has {len(row)} tokens, too few for one stretch of {length} and the token behind it: give a "
                "longer text, or take shorter stretches"
            )
        self.row = row
        self.length = length
        self.stride = stride

    def __len__(self) -> int:
        return (len(self.row) - 1 - self.length) // self.stride + 1

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        places = index.numpy()[:, None] * self.stride + np.arange(self.length + 1)
        both = torch.from_numpy(self.row[places].astype(np.int64))
        return Batch(tokens=both[:, :-1], target=both[:, 1:])

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.length} {self.stride} {len(self.row)}".encode())
        for begin in range(0, len(self.row), 1 << 20):
            digest.update(np.ascontiguousarray(self.row[begin : begin + (1 << 20)]).data)
        return digest.hexdigest()[:16]


def text(
    path: Path,
    codec: TextCodec | None = None,
    length: int = 256,
    valid: float = 0.05,
    test: float = 0.05,
    encoding: str = "utf-8",
    name: str | None = None,
    stride: int = 1,
) -> Splits:
    """A text file, by its places: the beginning is learned from, what is behind it chooses the best epoch, and the end
    is looked at once. Validation and test stretches do not overlap; of their tokens the first does not count, nor the
    last few, which fill no stretch.

    Args:
        path: of the file.
        codec: reads it; by the characters of the part that is learned from, if None.
        length: of a stretch, in tokens.
        valid, test: their shares; nothing chooses the best epoch where ``valid`` is 0.
        stride: from one stretch's beginning to the next, in training.

    Raises:
        BadData: the file is empty, too short, or in another encoding, naming the byte.
    """
    whole = read_text(Path(path), encoding)
    if not whole.strip():
        raise BadData(f"{path} is empty: give a text")
    first, second = round(len(whole) * (1 - valid - test)), round(len(whole) * (1 - test))
    pieces = whole[:first], whole[first:second], whole[second:]
    if codec is None:
        from descend.data.tokens import characters

        codec = PromptCodec(characters([pieces[0]]).to_str(), LONGEST, encoding=encoding)
    rows = [_row(codec, _cut(piece)) for piece in pieces]
    return _splits(rows, codec, length, stride, name or Path(path).stem)


def corpus(
    folder: Path,
    codec: TextCodec | None = None,
    length: int = 256,
    held: float = 0.05,
    encoding: str = "utf-8",
    vocabulary: int = 8000,
    key: int = 0,
) -> Splits:
    """A folder of texts (``**/*.txt``), of which more may be than fits in memory: they are split file by file, packed
    one behind the other with an end between, and their tokens kept in files of the cache, which are only looked into.

    Args:
        folder: is searched with all folders in it.
        codec: reads them; byte pairs of the training files, if None.
        length: of a stretch, in tokens.
        held: share of the files for validation, and for test; one file each at least.
        vocabulary: how many byte pairs.
        key: of the split.

    Raises:
        BadData: there are fewer than three files, they hold too little, or one is in another encoding.
    """
    files = sorted(Path(folder).rglob("*.txt"))
    if len(files) < 3:
        raise BadData(f"{folder} holds {len(files)} files **/*.txt: give three or more, one for each split")
    held = max(held, 1 / len(files))
    parts = [[files[i] for i in part.tolist()] for part in split(len(files), (1 - 2 * held, held, held), key)]
    if codec is None:
        from descend.data.tokens import byte_pairs

        texts = (piece for file in parts[0] for piece in _pieces(file, encoding))
        codec = PromptCodec(byte_pairs(texts, vocabulary).to_str(), LONGEST, encoding=encoding)
    rows = [mapped(part, codec, encoding) for part in parts]
    return _splits(rows, codec, length, 1, Path(folder).name)


def mapped(files: Sequence[Path], codec: TextCodec, encoding: str = "utf-8") -> np.memmap:
    """The tokens of files, an end behind each, in one file of the cache, made where it is not there yet."""
    digest = hashlib.sha256(f"{codec.tokenizer} {codec.end} {encoding}".encode())
    for file in files:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    path = cache() / "tokens" / f"{digest.hexdigest()[:32]}.bin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            with unfinished.open("wb") as out:
                for file in files:
                    for piece in _pieces(file, encoding):
                        out.write(_row(codec, [piece]).tobytes())
                    out.write(np.array([codec.end], _kind(codec)).tobytes())
            unfinished.replace(path)
        finally:  # a file that cannot be read must not leave gigabytes behind
            unfinished.unlink(missing_ok=True)
    return np.memmap(path, _kind(codec), "r")


def _pieces(file: Path, encoding: str) -> Iterator[str]:
    """Lines of a file, about a million letters together."""
    try:
        with file.open(encoding=encoding, newline="") as lines:
            while piece := "".join(lines.readlines(1 << 20)):
                if "\0" in piece:
                    read_text(file, encoding)  # says at which byte
                yield piece.removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError):
        read_text(file, encoding)  # says at which byte
        raise


def _cut(text: str) -> Iterator[str]:
    """A text in parts of about a million letters, each up to a line's end: as tokens, a letter takes hundreds of bytes
    on the way."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + (1 << 20)) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _row(codec: TextCodec, pieces: Iterable[str]) -> np.ndarray:
    parts = (codec.tokens.encode(piece, add_special_tokens=False).ids for piece in pieces)
    return np.concatenate([np.zeros(0, _kind(codec)), *(np.array(part, _kind(codec)) for part in parts)])


def _kind(codec: TextCodec) -> type[np.unsignedinteger]:
    return np.uint16 if codec.vocabulary <= 1 << 16 else np.uint32


def _splits(rows: Sequence[np.ndarray], codec: TextCodec, length: int, stride: int, name: str) -> Splits:
    train, valid, test = rows
    held = Windows(valid, length, length) if len(valid) else None
    return Splits(Windows(train, length, stride), held, Windows(test, length, length), codec, name)


def shakespeare(length: int = 64, stride: int = 1) -> Splits:
    """All of Shakespeare's plays that char-rnn was shown with, 1.1 MB (Karpathy 2015); asked is the last tenth, and all
    before it is learned from: a play of the end begins there, whose names would be strange without it."""
    return text(SHAKESPEARE.find(), None, length, 0.0, 0.1, name="shakespeare", stride=stride)

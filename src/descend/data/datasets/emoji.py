"""Pictures with captions: the emoji of Noto, or any that a file ``captions.jsonl`` names, a line each:

    {"file": "images/0000.png", "caption": "red apple"}

What is held out is asked for by captions that were never learned from, of words that were: a network that draws them
has understood how words go together. Captions of two words or more are gone through in an order of the key; one is held
out if each of its words still stands in another caption that is learned from.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from descend.data.codecs import CaptionCodec, PictureCodec
from descend.data.codecs.caption import caption_words
from descend.data.codecs.image import pixels
from descend.data.data import Tensors
from descend.data.datasets.files import Official
from descend.data.errors import BadData
from descend.data.reading import read_lines
from descend.data.splits import Splits
from descend.functional import keyed

EMOJI = Official("emoji.zip", "", 2_815_462, "f350732d04ccd41e2561f225dc77ecaf5bbb47c0a783a8fef8039515946df041")
"""1,386 pictures of 64×64, and their names by Unicode; nobody serves them in this form. They stand on white."""
LINES = "captions.jsonl"
HELD = 0.1
"""Share of the captions that is held out, where as many can be."""
TOGETHER = 128
"""Captions that are read at once."""
TURNED = ("left", "right", "clockwise", "counterclockwise", "o'clock", "thirty", "letters", "numbers", "button")
"""Words (or their beginnings) of pictures that their mirror image would not be: sides, clocks, and what is written."""

Reader = Callable[[Int[Tensor, "n time"], Bool[Tensor, "n time"]], Float[Tensor, "n time width"]]


@dataclass(frozen=True)
class Captioned:
    """A picture's place and what it shows."""

    file: str
    caption: str

    @property
    def words(self) -> tuple[str, ...]:
        return caption_words(self.caption)

    @property
    def sided(self) -> bool:
        """Whether its mirror image shows something else."""
        return any(word.startswith(TURNED) for word in self.words)


def emoji(tokenizer: str | None = None, reader: Reader | None = None, key: int = 0) -> Splits:
    """Noto's emoji (Google, OFL 1.1) and their names: about 1,250 to learn from, 139 held out, none for validation.

    Args: as of `captioned`.
    """
    return captioned(None, 64, tokenizer, reader, key)


def captioned(
    path: str | Path | None,
    size: int = 64,
    tokenizer: str | None = None,
    reader: Reader | None = None,
    key: int = 0,
) -> Splits:
    """Pictures below a folder, or in a zip file, by its ``captions.jsonl``; ``x`` of 0 … 1, transparent places white.

    With a tokenizer, also each caption's ``tokens``, which are ``kept``, and whether the picture is ``sided``, so that
    `FlipUnless` knows what it must not mirror.

    Args:
        path: of the folder or zip file; the emoji if None.
        size: height and width they are scaled and cut to.
        tokenizer: as `CaptionCodec` takes it; pictures alone if None.
        reader: makes words of tokens; each caption's ``words`` are then read once, here.
        key: of what is held out.

    Raises:
        BadData: there is no such file; a line is broken, naming it; a picture is missing, torn or outside the folder; a
            caption has no word; or none can be held out.
    """
    path = EMOJI.find() if path is None else Path(path)
    root = _root(path)
    found = _lines(root)
    held = _held_out([one.words for one in found], [one.file for one in found], key)
    if not held.any() or held.all():
        raise BadData(
            f"{path}: of {len(found)} captions none can be held out: one is, if it has two words or more and each of "
            "them stands in another caption, too; give more pictures"
        )
    x = torch.stack([pixels(_content(root, one.file), 3, (size, size), one.file, 1.0) for one in found])
    tensors: dict[str, Tensor] = {"x": x}
    codec: PictureCodec = PictureCodec(size, size, ground=1.0)
    if tokenizer is not None:
        learned = {word for one, out in zip(found, held.tolist(), strict=True) if not out for word in one.words}
        codec = CaptionCodec(tokenizer, tuple(sorted(learned)), size, size)
        tensors["tokens"], tensors["kept"] = codec.tokenised([one.caption for one in found])
        tensors["sided"] = torch.tensor([one.sided for one in found])
        if reader is not None:
            tensors["words"] = _read(reader, tensors["tokens"], tensors["kept"])
    train, test = (Tensors(**{name: tensor[part] for name, tensor in tensors.items()}) for part in (~held, held))
    return Splits(train, None, test, codec, path.stem)


def _read(reader: Reader, tokens: Int[Tensor, "n time"], kept: Bool[Tensor, "n time"]) -> Float[Tensor, "n time width"]:
    with torch.no_grad():
        parts = zip(tokens.split(TOGETHER), kept.split(TOGETHER), strict=True)
        return torch.cat([reader(part, own) for part, own in parts])


def _root(path: Path) -> Path | zipfile.Path:
    if path.is_dir():
        return path
    if not path.is_file():
        raise BadData(f"there is no folder or zip file {path}")
    try:
        return zipfile.Path(path)
    except zipfile.BadZipFile as error:
        raise BadData(f"{path} is no zip file, or torn ({error}): give one, or a folder, that holds {LINES}") from None


def _lines(root: Path | zipfile.Path) -> list[Captioned]:
    place = root / LINES
    if not place.is_file():
        raise BadData(
            f'{root} holds no {LINES}: write one, a line for each picture, {{"file": "images/1.png", "caption": '
            '"red apple"}'
        )
    found = []
    for number, line in enumerate(read_lines(place.read_bytes()), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            one = Captioned(told["file"], told["caption"])
        except (ValueError, KeyError, TypeError):
            one = None
        if one is None or not isinstance(one.file, str) or not isinstance(one.caption, str):
            raise BadData(
                f'{root}, line {number} of {LINES} is {line[:60]!r}: write {{"file": "images/1.png", "caption": "red '
                'apple"}'
            )
        if not one.words:
            raise BadData(f"{root}, line {number} of {LINES}: the caption {one.caption!r} has no word")
        found.append(one)
    if not found:
        raise BadData(f"{root}: {LINES} is empty: write a line for each picture")
    return found


def _content(root: Path | zipfile.Path, file: str) -> bytes:
    """Of a picture below the root, and nowhere else."""
    parts = PurePosixPath(file).parts
    place = root / file
    if not parts or parts[0] == "/" or ".." in parts or not place.is_file():
        raise BadData(f"{root}: {LINES} names the picture {file!r}, which is not there: mend the line, or leave it out")
    try:
        return place.read_bytes()
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadData(f"{root}: the picture {file} cannot be read ({error}): pack or save it anew") from None


def _held_out(captions: Sequence[tuple[str, ...]], files: Sequence[str], key: int) -> Bool[Tensor, "n"]:
    """Which rows are held out. Rows of one caption or of one picture go together, so that neither is seen twice."""
    above = list(range(len(captions)))

    def first(row: int) -> int:
        """Of the rows that go with this one."""
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    seen: dict[tuple[str, ...] | str, int] = {}
    for row, names in enumerate(zip(captions, files, strict=True)):
        for name in names:
            above[first(row)] = first(seen.setdefault(name, row))
    members: dict[int, list[int]] = {}
    for row in range(len(captions)):
        members.setdefault(first(row), []).append(row)
    words = {number: {word for row in rows for word in captions[row]} for number, rows in members.items()}
    learned = Counter(word for own in words.values() for word in own)
    order, held = list(members), torch.zeros(len(captions), dtype=torch.bool)
    for place in keyed.permutation(len(order), key).tolist():
        number = order[place]
        if int(held.sum()) >= round(HELD * len(captions)):
            break
        if min(len(captions[row]) for row in members[number]) >= 2 and all(learned[w] > 1 for w in words[number]):
            learned.subtract(words[number])
            held[members[number]] = True
    return held

"""Pictures of people, parted by person: who is tested was never learned from. Anything else that has several pictures
of each one will do: animals, buildings, signatures, goods.

    learned people      learned from
    validation people   never learned from: they choose the best epoch, and the threshold of "the same"
    test people         looked at once, at the end
"""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import torch

from descend.data.codecs import EmbedCodec, ImageCodec
from descend.data.datasets.files import Official
from descend.data.datasets.folder import TEST, Pictures
from descend.data.errors import BadData
from descend.data.splits import Splits, split

ORL = Official(
    "orl-faces.zip",
    "",
    336_659,
    "6a3946bf90e51e2287e4396ba018d9cc7280df08cd2203542dd1cc4be89c8295",
)
"""att_faces/PERSON/NUMBER.pgm, a quarter as high and wide as they were taken; nobody serves it in this form."""

FEWEST = 2
"""People in each part: of one alone, no two pictures show two people."""


def people(
    path: str | Path,
    size: int = 64,
    channels: int = 3,
    key: int = 0,
    limit: float | None = None,
    strict: bool = False,
    like: ImageCodec | None = None,
) -> Splits:
    """The pictures below ``path/PERSON/``, at any depth, 70/15/15 of the people by key. Who has one picture only is
    learned from and never asked for. Arguments and warnings as of `folder`.

    Raises:
        BadData: as `folder`; fewer than six people have two pictures; or the folder is parted already.
    """
    found = Pictures.below(Path(path), ImageCodec(size, size, channels), limit, strict)
    if found.given:
        raise BadData(
            f"{path} holds {' and '.join(found.given)}, but people are parted here: give one folder of people, "
            f"{path}/PERSON/picture.jpg"
        )
    several = int((torch.bincount(found.targets) > 1).sum())
    if several < 3 * FEWEST:
        raise BadData(
            f"{path}: {several} of {len(found.labels)} people have two pictures or more; {3 * FEWEST} are needed, "
            f"{FEWEST} each to learn from, to choose by and to be tested on: give more pictures of each"
        )
    asked = max(FEWEST, round(several * TEST)) / several
    return _apart(found, (1 - 2 * asked, asked, asked), key, like)


def orl(height: int = 28, channels: int = 1, key: int = 0, like: ImageCodec | None = None) -> Splits:
    """ORL's faces (Samaria and Harter 1994): 40 people, ten grey pictures each, with other looks, light, and with
    glasses or without. 25 people to learn from, 5 for validation, 10 to be tested on, by key.

    Args:
        height: in pixels, 28 as they are here; 23 wide for 28 high.
        channels: 1, or 3 for a network that learned from colours.
        like: as in `folder`.
    """
    plain = ImageCodec(height, round(height * 23 / 28), channels)
    with zipfile.ZipFile(ORL.find()) as archive:
        files = [name for name in archive.namelist() if name.endswith(".pgm")]
        names = sorted({name.split("/")[1] for name in files}, key=lambda name: int(name[1:]))
        files.sort(key=lambda name: (names.index(name.split("/")[1]), int(Path(name).stem)))
        pixels = torch.stack([plain.pixels(archive.read(name)) for name in files])
    targets = torch.tensor([names.index(name.split("/")[1]) for name in files])
    found = Pictures(Path("orl"), tuple(names), [], targets, torch.zeros_like(targets), [], pixels, plain)
    return _apart(found, (25 / 40, 5 / 40, 10 / 40), key, like)


def _apart(found: Pictures, fractions: tuple[float, float, float], key: int, like: ImageCodec | None) -> Splits:
    """The people with several pictures, parted; the others beside those who are learned. Learned ones are numbered
    first, so that their numbers are the classes of a network."""
    counts = torch.bincount(found.targets, minlength=len(found.labels))
    several, single = (each.nonzero().flatten() for each in (counts > 1, counts == 1))
    learned, *asked = (several[part] for part in split(len(several), fractions, key))
    groups = [torch.cat([learned, single]).sort().values, *asked]
    order = torch.cat(groups)
    names = tuple(found.labels[person] for person in order.tolist())
    parts = [torch.isin(found.targets, group).nonzero().flatten() for group in groups]
    learned_names, others = names[: len(groups[0])], names[len(groups[0]) :]
    known = found.codec(like, parts[0], learned_names, key)
    codec = EmbedCodec(*known.shape[1:], known.channels, known.mean, known.std, learned_names, others)
    train, valid, test = replace(found, targets=order.argsort()[found.targets]).data(parts, codec)
    return Splits(train, valid, test, codec, found.root.name)

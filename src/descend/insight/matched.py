"""What samples are worth that captions asked for, by a matcher that was trained apart from what made them.

retrieval      how often the caption that a sample was asked by is the one of a hundred held-out captions that fits it
               best, as the matcher sees it (as Xu et al. 2018, "AttnGAN", section 4, "R-precision")
retrieval10    how often it is among the first ten
nearest        the training pictures nearest to samples, as `judge` has it

Each stands beside the same figure of the captions' own pictures, ``…_real``, which is what this matcher can tell at
all, and beside chance.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from descend.data import Batch, CaptionCodec, PictureCodec, Splits
from descend.engine import Predictor
from descend.functional import keyed
from descend.insight.judge import FEWEST, LOOKED, TOGETHER, Nearest, Pictures, made_by
from descend.insight.sheet import tile, tiled
from descend.metrics import ranks_among
from descend.tasks import Match
from descend.tasks.generative import Generative
from descend.tasks.generative.generative import evaluating
from descend.tasks.match import captions

if TYPE_CHECKING:
    from PIL import Image

CANDIDATES = 100
"""Captions that the asked one is looked for among."""
DRAWN = 40
"""Samples on the sheet."""
LETTERS = 32
"""Of a caption on the sheet."""


def matched(
    predictor: Predictor, by: Predictor, data: Splits, count: int, seed: int = 0, folder: Path | None = None
) -> dict[str, Any]:
    """Ask a generative network by held-out captions, and a matcher which caption each sample shows.

    >>> matched(load("runs/text_to_picture-1"), load("runs/match-1"), splits, 139)["retrieval"]

    Args:
        predictor: what makes pictures.
        by: the judge, whose task is `Match` and whose codec is a `CaptionCodec`.
        data: what was learned from, with a `CaptionCodec`; its test split holds captions that were not.
        count: samples. Captions are taken in an order of the key, and again from its beginning, if there are fewer.
        folder: where ``samples.png`` (samples, each beside its caption's own picture) and ``nearest.png`` are written;
            nowhere if None.

    Returns:
        The figures by name; ``chance`` and ``chance10``, what guessing gives; ``captions``, how many there are;
        ``nearest``, as of `judge`.

    Raises:
        ValueError: the judge cannot judge these pictures, or there are too few of them.
    """
    task, codec, matcher, reads = _checked(predictor, by, data, count)
    chosen = keyed.permutation(len(data.test), seed).repeat(-(-count // len(data.test)))[:count]
    test = data.test.gather(torch.arange(len(data.test))).to("cpu")
    told = [codec.caption(tokens, kept) for tokens, kept in zip(test["tokens"], test["kept"], strict=True)]
    asked = Batch({name: tensor[chosen] for name, tensor in captions(test).items()})
    made, real = made_by(task, count, seed, asked), test["x"][chosen]
    tokens, kept = reads.tokenised(told)
    device = matcher.progress.device
    with evaluating(matcher):
        points = matcher.read(tokens=tokens.to(device), kept=kept.to(device)).cpu()
        scores = [_seen(matcher, pictures) @ points.mT for pictures in (made, real)]
    candidates = min(CANDIDATES, len(told))
    found: dict[str, Any] = {"count": count, "seed": seed, "captions": len(told), "candidates": candidates}
    for name, each in zip(("", "_real"), scores, strict=True):
        ranks = ranks_among(each, chosen, candidates)
        found[f"retrieval{name}"] = (ranks < 1).double().mean().item()
        found[f"retrieval10{name}"] = (ranks < 10).double().mean().item()
    found |= {"chance": 1 / candidates, "chance10": min(1.0, 10 / candidates)}
    close = Nearest.to(made[:LOOKED], data.train)
    found["nearest"] = close.beside(Nearest.to(real[:LOOKED], data.train))
    if folder is not None:
        names = [told[number] for number in chosen.tolist()]
        tiled([_told(*each) for each in zip(made[:DRAWN], real[:DRAWN], names[:DRAWN], strict=True)]).save(
            folder / "samples.png"
        )
        close.sheet(made, data.train).save(folder / "nearest.png")
    return found


def _seen(matcher: Match, pictures: Pictures) -> Float[Tensor, "n numbers"]:
    return torch.cat([matcher.seen(part.to(matcher.progress.device)).cpu() for part in pictures.split(TOGETHER)])


def _told(made: Tensor, real: Tensor, caption: str) -> Image.Image:
    """A sample, the caption's own picture, and the caption below them."""
    from PIL import Image, ImageDraw

    left, right = tile(made), tile(real)
    whole = Image.new("RGB", (2 * left.width + 4, left.height + 16), "white")
    whole.paste(left, (0, 0))
    whole.paste(right, (left.width + 4, 0))
    short = caption if len(caption) <= LETTERS else f"{caption[: LETTERS - 1]}…"
    ImageDraw.Draw(whole).text((2, left.height + 2), short, fill="black")
    return whole


def _checked(
    predictor: Predictor, by: Predictor, data: Splits, count: int
) -> tuple[Generative, CaptionCodec, Match, CaptionCodec]:
    """What makes pictures and the codec of its captions, what matches them and its own.

    Raises:
        ValueError: they do not fit.
    """
    task, codec, matcher, reads = predictor.task, data.codec, by.task, by.codec
    if not isinstance(task, Generative):
        raise ValueError(
            f"{type(task).__name__} makes no pictures, so there is nothing to judge: name a generative run"
        )
    if not isinstance(codec, CaptionCodec):
        what = "pictures without captions" if isinstance(codec, PictureCodec) else f"{type(codec).__name__} samples"
        raise ValueError(
            f"{data.name} holds {what}, and this judge matches captions: name one that tells classes apart, such as "
            "`descend train fashion --model resnet` leaves"
        )
    if not isinstance(matcher, Match) or not isinstance(reads, CaptionCodec):
        raise ValueError(
            f"a judge of captions matches them with pictures (Match, CaptionCodec), and this one is "
            f"{type(matcher).__name__} with {type(reads).__name__}: name a run such as `descend train match` leaves"
        )
    if reads.shape != codec.shape:
        asked, have = ("×".join(map(str, shape)) for shape in (reads.shape, codec.shape))
        raise ValueError(f"the judge reads pictures of {asked} and these are {have}: train one on such pictures")
    if count < FEWEST:
        raise ValueError(f"count is {count}: give {FEWEST} or more")
    return task, codec, matcher, reads

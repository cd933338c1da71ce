"""What samples are worth, by a classifier that was trained apart from what made them.

accuracy    how often the judge sees the class that was asked for; beside what it sees in real pictures
frechet     the distance of samples from real training pictures in the judge's features, those that its last layer reads
            (Heusel et al. 2017, eq. 6, with a network of our own: such figures are *not* comparable with the FID by an
            Inception network, only among runs with one judge and one count)
precision, recall, density, coverage    in the same features: `descend.metrics.precision_recall`, `density_coverage`
nearest     the training pictures nearest to samples, by their pixels: what was learned by heart lies much nearer to one
            than unseen real pictures do

Each stands beside the same figure of as many real test pictures in the samples' place, ``…_real``: what a perfect
network would have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from descend.data import Batch, Data, ImageCodec, PictureCodec, Splits
from descend.engine import Predictor
from descend.functional import keyed
from descend.insight.samples import samples
from descend.insight.sheet import tile, tiled
from descend.metrics import density_coverage, frechet_distance, nearest, precision_recall
from descend.tasks import Classify
from descend.tasks.generative import Generative

if TYPE_CHECKING:
    from PIL import Image

TIMES = 5
"""Real training pictures for each sample that the Fréchet distance is taken from, where there are as many."""
FEWEST = 10
"""Samples from which there are neighbours enough."""
TOGETHER = 250
"""Pictures that go through a network at once."""
HELD = 20_000
"""Training pictures that are held against samples at once."""
LOOKED = 500
"""Samples whose nearest training pictures are looked for, at most."""
SHOWN = 8
"""Of them, on the sheet; and samples of each class on the other one."""
BESIDE = 4
"""Nearest training pictures beside each."""

SHARES = ("precision", "recall", "density", "coverage")

Pictures = Float[Tensor, "n channels height width"]


def judge(
    predictor: Predictor, by: Predictor, data: Splits, count: int = 2000, seed: int = 0, folder: Path | None = None
) -> dict[str, Any]:
    """Hold a generative network's samples against real pictures.

    >>> judge(load("runs/gan-1"), load("runs/fashion-1"), datasets.fashion_pictures())["frechet"]

    Args:
        predictor: what makes pictures; its task is `Generative`.
        by: the judge, whose task is `Classify` with a linear ``head`` and whose codec is an `ImageCodec`.
        data: what was learned from, with a `PictureCodec`.
        count: samples, and real test pictures; the samples' classes are those of these pictures, chosen by key.
        folder: where ``samples.png`` (samples, a class a row) and ``nearest.png`` (samples, each beside the training
            pictures nearest to it) are written; nowhere if None.

    Returns:
        The figures by name; ``by_class``, the accuracy of each class; ``nearest``: the mean ``distance`` to the nearest
        training picture (root of the summed squares of differences), that of test pictures (``distance_real``), and
        for some samples which ones are nearest and how far. What needs classes is left out where none can be asked for.

    Raises:
        ValueError: the judge cannot judge these pictures, or there are too few of them.
    """
    task, codec = _checked(predictor, by, data, count)
    chosen = keyed.permutation(len(data.test), seed)[:count]
    reference = keyed.permutation(len(data.train), seed, 1)[: TIMES * count]
    target = data.test.targets()[chosen] if codec.labels else None
    conditional = target is not None and task.classes is not None
    made = made_by(task, count, seed, Batch(target=target) if conditional else None)
    tests = pictures_of(data.test, chosen)
    seen, real, learned = (_Seen.of(by, pictures) for pictures in (made, tests, pictures_of(data.train, reference)))
    found: dict[str, Any] = {"count": count, "seed": seed, "reference": len(reference)}
    if target is not None:
        found["judge_accuracy"] = (real.answers == target).double().mean().item()
        if conditional:
            found |= _accuracies(seen.answers == target, target, codec.labels or ())
    for name, features in (("", seen.features), ("_real", real.features)):
        found[f"frechet{name}"] = frechet_distance(features, learned.features).item()
        # Shares of equally many: what lies among more neighbours lies among them more often.
        pair = learned.features[:count], features
        shares = zip(SHARES, (*precision_recall(*pair), *density_coverage(*pair)), strict=True)
        found |= {f"{share}{name}": value.item() for share, value in shares}
    close = Nearest.to(made[:LOOKED], data.train)
    found["nearest"] = close.beside(Nearest.to(tests[:LOOKED], data.train))
    if folder is not None:
        _by_class(made, target if conditional else None).save(folder / "samples.png")
        close.sheet(made, data.train).save(folder / "nearest.png")
    return found


def beside_real(found: Mapping[str, Any]) -> dict[str, tuple[float | None, float]]:
    """Each figure of samples, None where they have none, and that of real pictures in their place."""
    near = found["nearest"]
    pairs = {"accuracy": (found.get("accuracy"), found.get("judge_accuracy"))}
    names = ("retrieval", "retrieval10", "frechet", *SHARES)
    pairs |= {name: (found[name], found[f"{name}_real"]) for name in names if name in found}
    pairs["nearest"] = (near["distance"], near["distance_real"])
    return {name: (made, real) for name, (made, real) in pairs.items() if real is not None}


@dataclass(frozen=True)
class _Seen:
    """What a judge sees in pictures.

    Attributes:
        features: that its head reads. A judge that asks its network several times (for the mirror image, too) answers
            with a mean, and so the mean of what its head read is taken.
        answers: the likeliest class of each.
    """

    features: Float[Tensor, "n width"]
    answers: Int[Tensor, "n"]

    @classmethod
    def of(cls, by: Predictor, pictures: Pictures) -> _Seen:
        assert isinstance(by.codec, ImageCodec)
        read: list[Tensor] = []
        features, answers = [], []
        hook = _head(by).register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].detach().cpu()))
        try:
            for part in pictures.split(TOGETHER):
                read.clear()
                answers.append(by.outputs(x=by.codec.standardise(part)).argmax(1).cpu())
                features.append(torch.stack(read).mean(0))
        finally:
            hook.remove()
        return cls(torch.cat(features), torch.cat(answers))


@dataclass(frozen=True)
class Nearest:
    """The training pictures nearest to others: how far they are, and their numbers, the nearest first."""

    distances: Float[Tensor, "n many"]
    numbers: Int[Tensor, "n many"]

    @classmethod
    def to(cls, pictures: Pictures, train: Data) -> Nearest:
        rows, many = pictures.flatten(1), min(BESIDE, len(train))
        distances, numbers = torch.empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.int64)
        for index in torch.arange(len(train)).split(HELD):
            own, places = nearest(rows, pictures_of(train, index).flatten(1), min(many, len(index)))
            # The nearest so far and those of this part.
            distances, numbers = torch.cat([distances, own], 1), torch.cat([numbers, index[places]], 1)
            order = distances.argsort(dim=1, stable=True)[:, :many]
            distances, numbers = distances.gather(1, order), numbers.gather(1, order)
        return cls(distances, numbers)

    def beside(self, real: Nearest) -> dict[str, Any]:
        """In figures, beside those of real pictures, and what the first ones are nearest to."""
        rows = [
            {"sample": number, "train": self.numbers[number].tolist(), "distance": self.distances[number].tolist()}
            for number in range(min(SHOWN, len(self.numbers)))
        ]
        distance, distance_real = (one.distances[:, 0].mean().item() for one in (self, real))
        return {"distance": distance, "distance_real": distance_real, "shown": rows}

    def sheet(self, pictures: Pictures, train: Data) -> Image.Image:
        """A row each: the picture, then what is nearest to it."""
        tiles = []
        for picture, numbers in list(zip(pictures, self.numbers, strict=False))[:SHOWN]:
            tiles += [tile(one) for one in (picture, *pictures_of(train, numbers))]
        return tiled(tiles, 1 + self.numbers.shape[1])


def _accuracies(right: Bool[Tensor, "n"], target: Int[Tensor, "n"], labels: tuple[str, ...]) -> dict[str, Any]:
    """Of all, and of each class that was asked for."""
    of_class = {labels[number]: right[target == number].double().mean().item() for number in target.unique().tolist()}
    return {"accuracy": right.double().mean().item(), "by_class": of_class}


def _by_class(made: Pictures, target: Int[Tensor, "n"] | None) -> Image.Image:
    """Samples, a class a row; in their own order where there are no classes."""
    if target is None:
        return tiled([tile(one) for one in made[: SHOWN**2]], SHOWN)
    rows = [made[target == number][:SHOWN] for number in target.unique()]
    columns = max(map(len, rows))
    white = torch.ones_like(made[0])  # a class of few samples leaves places free
    return tiled([tile(one) for row in rows for one in (*row, *[white] * (columns - len(row)))], columns)


def made_by(task: Generative, count: int, seed: int, asked: Batch | None) -> Pictures:
    """Samples in parts, each by a seed of its own, since a sample's number counts from the part's first."""
    found = []
    for number, part in enumerate(torch.arange(count).split(TOGETHER)):
        own = None if asked is None else Batch({name: tensor[part] for name, tensor in asked.items()})
        found.append(samples(task, len(part), keyed.mix(seed, number), own))
    return torch.cat(found)


def pictures_of(data: Data, index: Tensor) -> Pictures:
    return data.gather(index)["x"].cpu()


def _head(by: Predictor) -> nn.Linear:
    """The last linear layer of a judge."""
    heads = [
        module
        for name, module in by.task.named_modules()
        if name.rpartition(".")[2] == "head" and isinstance(module, nn.Linear)
    ]
    if not heads:
        raise ValueError(
            "the judge's network has no linear layer called head, whose inputs its features are: train another network"
        )
    return heads[-1]


def _checked(predictor: Predictor, by: Predictor, data: Splits, count: int) -> tuple[Generative, PictureCodec]:
    """The task that makes pictures and the codec of what it learned from.

    Raises:
        ValueError: one of the three does not fit the others.
    """
    task, codec, reads = predictor.task, data.codec, by.codec
    if not isinstance(task, Generative):
        raise ValueError(
            f"{type(task).__name__} makes no pictures, so there is nothing to judge: name a generative run"
        )
    if not isinstance(codec, PictureCodec):
        raise ValueError(f"{data.name} holds {type(codec).__name__} samples, where pictures (PictureCodec) are judged")
    if not isinstance(by.task, Classify) or not isinstance(reads, ImageCodec):
        raise ValueError(
            f"a judge classifies pictures (Classify, ImageCodec), and this one is {type(by.task).__name__} with "
            f"{type(reads).__name__}: name a run such as `descend train fashion --model resnet` leaves"
        )
    if reads.shape != codec.shape:
        asked, have = ("×".join(map(str, shape)) for shape in (reads.shape, codec.shape))
        raise ValueError(f"the judge reads pictures of {asked} and these are {have}: train one on such pictures")
    told = tuple(reads.labels or ())
    if codec.labels and tuple(codec.labels) != told:
        raise ValueError(
            f"the judge tells {', '.join(told) or 'unnamed classes'} apart, and these pictures are of "
            f"{', '.join(codec.labels)}: train one on the same classes"
        )
    most = min(len(data.test), len(data.train))
    if not FEWEST <= count <= most:
        raise ValueError(
            f"count is {count}: give {FEWEST} … {most}, as many as there are real pictures to compare with"
        )
    _head(by)
    return task, codec

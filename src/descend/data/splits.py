"""Training, validation and test samples, and the codec that made them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.codecs.codec import Codec
from descend.data.data import Data, Tensors
from descend.data.errors import BadData
from descend.functional import keyed


@dataclass
class Splits:
    """What a data set function returns.

    Attributes:
        train, valid, test: what is learned from; what chooses the best epoch, or None if nothing does; what is looked
            at once, at the end.
        codec: fitted on ``train``.
        name: of the data set.

    Raises:
        BadData: a label in memory is out of range, or all training labels are of one class.
    """

    train: Data
    valid: Data | None
    test: Data
    codec: Codec
    name: str

    def __post_init__(self) -> None:
        if self.codec.labels:
            for part in ("train", "valid", "test"):
                data = getattr(self, part)
                if isinstance(data, Tensors) and (part == "train" or not self.codec.open):
                    target, boxed = data.tensors["target"], "boxes" in data.tensors
                    # Beside boxes -1 stands where a picture has fewer of them; and one kind of thing is enough.
                    target = target.where(target != -1, 0) if boxed else target
                    check_labels(target, self.classes, f"{self.name}: {part}", part == "train" and not boxed)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example's numbers, without a batch axis."""
        return self.codec.shape

    @property
    def features(self) -> int:
        """How many numbers one example holds."""
        return math.prod(self.shape)

    @property
    def classes(self) -> int:
        if self.codec.labels is None:
            raise ValueError(f"{self.name} has no classes: its target is a quantity, which Regress learns")
        return len(self.codec.labels)

    def fingerprint(self) -> str:
        """A hash of the parts, 16 hexadecimal digits."""
        parts = "-".join(data.fingerprint() for data in (self.train, self.valid, self.test) if data is not None)
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    def shuffled(self, seed: int = 0) -> Splits:
        """The same with the training labels in a random order: what learns from it must score at chance."""
        if not isinstance(self.train, Tensors):
            raise ValueError("labels are shuffled in memory: call in_memory() on the files first")
        tensors = dict(self.train.tensors)
        tensors["target"] = tensors["target"][keyed.permutation(len(self.train), seed)]
        return replace(self, train=Tensors(**tensors), name=f"{self.name}, labels shuffled")


def check_labels(target: Int[Tensor, "n *places"], classes: int, where: str, several: bool = False) -> None:
    """Refuse class numbers outside 0 … classes-1; with ``several``, also labels that are all of one class.

    Raises:
        BadData: naming the first sample that is wrong.
    """
    wrong = ((target < 0) | (target >= classes)).nonzero()
    if len(wrong):
        first = tuple(wrong[0].tolist())
        raise BadData(
            f"{where}: {len(wrong)} labels are out of range, first {int(target[first])} of sample {first[0]}; "
            f"with {classes} classes a label is 0 … {classes - 1}"
        )
    if several and bool((target == target.flatten()[0]).all()):
        raise BadData(
            f"{where}: one class only, all {target.numel()} labels are {int(target.flatten()[0])}; there is nothing to "
            "tell apart: "
            "give samples of two classes or more"
        )


def split(n: int, fractions: tuple[float, ...], *keys: int, classes: Int[Tensor, "n"] | None = None) -> list[Tensor]:
    """The numbers 0 … n-1 in disjoint parts of these fractions, by key; with ``classes``, of each class alike.

    Sample i of a class of m, in the class's shuffled order, stands at (i + ½) / m, and all samples are cut by where
    they stand: the parts have the asked sizes to one sample, whatever the classes' own sizes. The first of each class
    goes into the first part, which is larger for it where classes are many and small.

    Raises:
        ValueError: the fractions are not the whole.
        BadData: a part would be empty.
    """
    if not math.isclose(sum(fractions), 1) or min(fractions) <= 0:
        raise ValueError(f"the fractions of a split are {fractions}: each is above 0, and together they are 1")
    places = torch.zeros(n, dtype=torch.float64)
    groups = [torch.arange(n)] if classes is None else [(classes == c).nonzero().flatten() for c in classes.unique()]
    for number, group in enumerate(groups):
        order = group[keyed.permutation(len(group), *keys, number)]
        places[order] = (torch.arange(len(group), dtype=torch.float64) + 0.5) / len(group)
        places[order[:1]] = 0.0
    # Samples of several classes that stand at one place are taken in an order of their own key.
    shuffled = keyed.permutation(n, *keys, len(groups))
    order = shuffled[places[shuffled].argsort(stable=True)]
    bounds = [round(n * sum(fractions[:i])) for i in range(1, len(fractions))]
    bounds = [max(bound, len(groups)) for bound in bounds] if classes is not None else bounds
    found = [part.sort().values for part in order.tensor_split(bounds)]
    if any(len(part) == 0 for part in found):
        said = " / ".join(f"{fraction:g}" for fraction in fractions)
        raise BadData(f"{n} samples cannot be split {said}: a part would be empty; give more samples")
    return found

"""Codecs: a raw example to tensors, an output to an answer a person reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from descend.data.batch import Batch
from descend.data.errors import BadData

if TYPE_CHECKING:
    from PIL import Image


class Codec(ABC):
    """Plain data: a codec stores its constructor's arguments verbatim and is rebuilt from them.

    What it learns from data (means, categories) it learns in a classmethod ``fit``, from training rows only.

    Attributes:
        labels: the classes' names, where the answer is a class; else None.
        open: other classes than these may be asked for; only training samples are all of one of them.
        beside: how many examples one is drawn beside, where its like are shown; 0 where each is drawn for itself.
    """

    labels: tuple[str, ...] | None = None
    open: bool = False
    beside: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example's numbers, without a batch axis."""
        raise NotImplementedError(f"{type(self).__name__} encodes examples that have no one shape")

    @abstractmethod
    def encode(self, raw: Any) -> dict[str, Tensor]:
        """One example's tensors, without a batch axis, named as the network's inputs.

        Raises:
            BadData: it cannot be read.
        """

    @abstractmethod
    def decode(self, output: Tensor) -> dict[str, Any]:
        """The answer to one example's output."""

    def answer(self, raw: Any, output: Tensor) -> Any:
        """The answer to one raw example, for codecs whose answers depend on what `encode` leaves out, as a picture's
        own size is; by default what `decode` gives."""
        return self.decode(output)

    def parts(self, source: str | Path, encoding: str | None = None) -> list[tuple[str, Any]] | None:
        """Of codecs that read texts: the raw examples in a text or a file of text, each with what it is called; None
        of others.

        Args: encoding: of the file; the codec's own if None.

        Raises:
            BadData: the file cannot be read.
        """
        return None

    def words(self, sample: Mapping[str, Tensor], output: Tensor | None = None) -> dict[str, str] | None:
        """One example in words: what was ``given``, what was ``meant``, and, with an output, what was ``answered``;
        None where words do not tell it."""
        return None

    def draw(self, sample: Mapping[str, Tensor], target: Tensor, output: Tensor) -> Image.Image | None:
        """One example, what is true of it and what was answered, as a picture; None where there is nothing to see."""
        return None

    def tiles(self, batch: Batch, outputs: Any) -> list[Image.Image] | None:
        """The examples of a batch and the answers to them as pictures, as `draw` makes them; None where there is
        nothing to see."""
        tiles = []
        for row in range(len(batch)):
            sample = {name: tensor[row] for name, tensor in batch.items() if name != "target"}
            tile = self.draw(sample, batch["target"][row], outputs[row])
            if tile is None:
                return None
            tiles.append(tile)
        return tiles


def best_labels(labels: tuple[str, ...], probabilities: Tensor, most: int = 5) -> dict[str, Any]:
    """Class probabilities as an answer: the label, its probability, and the likeliest few."""
    values, places = probabilities.sort(descending=True)
    top = [[labels[i], round(v, 4)] for v, i in zip(values.tolist()[:most], places.tolist()[:most], strict=True)]
    return {"label": top[0][0], "confidence": top[0][1], "top": top}


def classes_of(values: list[str], where: str) -> tuple[str, ...]:
    """The classes among training labels, sorted; numbers by their value.

    Raises:
        BadData: there is one class only.
    """
    found = set(values)
    if len(found) < 2:
        raise BadData(f"{where} holds one class only ({', '.join(found) or 'none'}): there is nothing to tell apart")
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        return tuple(sorted(found))

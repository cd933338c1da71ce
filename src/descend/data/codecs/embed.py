"""Pictures whose answer is what they are most like, among examples that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from descend.data.batch import Batch
from descend.data.codecs.image import RIGHT, TILE, WRONG, ImageCodec

if TYPE_CHECKING:
    from PIL import Image

MOST = 5
"""Names in an answer."""
SHOWN = 4
"""Pictures beside one that was asked."""


class EmbedCodec(ImageCodec):
    """A picture as `ImageCodec` reads it, and answers by its nearest among known examples, by the cosine of embeddings.

    >>> codec = codec.knowing(embeddings, names, threshold)       # the training's end does it, with all it has seen
    >>> codec.decode(embedding)
    {'label': 's12', 'similarity': 0.83, 'nearest': [['s12', 0.83], ['s3', 0.41]]}

    Args: as of `ImageCodec`, and
        labels: names of the classes that are learned.
        others: names of the classes behind these, which are only asked.
        known: embeddings of length 1, one an example; None before there is any.
        names: of the class of each of them.
        threshold: similarity from which on two examples are taken for one class.
    """

    open = True
    beside = 256

    def __init__(
        self,
        height: int,
        width: int,
        channels: int = 3,
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        labels: tuple[str, ...] = (),
        others: tuple[str, ...] = (),
        known: Float[Tensor, "n width"] | None = None,
        names: tuple[str, ...] = (),
        threshold: float = 1.0,
    ):
        super().__init__(height, width, channels, mean, std, labels)
        if len(names) != (0 if known is None else len(known)):
            raise ValueError(
                f"EmbedCodec: {len(names)} names for {0 if known is None else len(known)} known examples: "
                "give one a row"
            )
        self.others = others
        self.known = known
        self.names = names
        self.threshold = threshold

    @property
    def names_of_all(self) -> tuple[str, ...]:
        """Of the classes that are learned, and of those only asked."""
        return (self.labels or ()) + self.others

    def knowing(self, known: Float[Tensor, "n width"], names: Sequence[str], threshold: float) -> EmbedCodec:
        """The same with these known examples in place of its own."""
        plain = (self.height, self.width, self.channels, self.mean, self.std, self.labels or (), self.others)
        return EmbedCodec(*plain, known.detach().float().cpu(), tuple(names), threshold)

    def decode(self, output: Float[Tensor, "width"]) -> dict[str, Any]:
        """``nearest``, the most similar names and how similar they are; ``label``, the first, or None for a stranger,
        who is less similar than the threshold; its ``similarity``, -1 … 1.

        Raises:
            ValueError: no example is known.
        """
        if self.known is None:
            raise ValueError(
                "this codec knows no examples yet, so nothing is like them: let the training come to its end "
                "(descend resume), or give it some, codec.knowing(embeddings, names, threshold)"
            )
        values, places = (self.known @ output.float().cpu()).sort(descending=True)
        nearest: dict[str, float] = {}
        for value, place in zip(values.tolist(), places.tolist(), strict=True):
            nearest.setdefault(self.names[place], round(value, 4))
        label, similarity = next(iter(nearest.items()))
        return {
            "label": label if similarity >= self.threshold else None,
            "similarity": similarity,
            "nearest": [list(one) for one in nearest.items()][:MOST],
        }

    def draw(self, sample: Mapping[str, Tensor], target: Tensor, output: Tensor) -> Image.Image:
        """The picture over its name."""
        return self._tile(sample["x"], self.names_of_all[int(target)], RIGHT)

    def tiles(self, batch: Batch, outputs: Float[Tensor, "batch width"]) -> list[Image.Image]:
        """Each picture, and beside it those most like it in the batch, with their similarity; in another colour where
        they are of another class."""
        from PIL import Image

        targets = batch["target"].tolist()
        near = (outputs @ outputs.T).fill_diagonal_(-torch.inf).topk(min(SHOWN, len(batch) - 1))
        drawn = []
        for row, (values, places) in enumerate(zip(near.values.tolist(), near.indices.tolist(), strict=True)):
            tiles = [self.draw({"x": batch["x"][row]}, batch["target"][row], outputs[row])]
            for value, place in zip(values, places, strict=True):
                colour = RIGHT if targets[place] == targets[row] else WRONG
                tiles.append(self._tile(batch["x"][place], f"{value:.2f}", colour))
            width, height = tiles[0].size
            whole = Image.new("RGB", (len(tiles) * (width + 2), height), "white")
            for place, tile in enumerate(tiles):
                whole.paste(tile, (place * (width + 2), 0))
            drawn.append(whole)
        return drawn

    def _tile(self, x: Tensor, words: str, colour: str) -> Image.Image:
        from PIL import Image, ImageDraw

        small = self.picture(x)
        times = TILE / 2 / small.width
        shown = small.resize((round(small.width * times), round(small.height * times)), Image.Resampling.BILINEAR)
        tile = Image.new("RGB", (shown.width, shown.height + 14), "white")
        tile.paste(shown, (0, 0))
        ImageDraw.Draw(tile).text((1, shown.height + 1), words, fill=colour)
        return tile

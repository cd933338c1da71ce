"""Scenes: clothes of Fashion-MNIST on real photos, made by key, so that there are as many as one wants and every box is
exact. A detector's data set for machines without room for one."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from descend.data.batch import Batch
from descend.data.codecs import BoxCodec
from descend.data.codecs.box import filled
from descend.data.data import Data
from descend.data.datasets.fashion import FILES, LABELS, read_idx
from descend.data.errors import BadData
from descend.data.splits import Splits
from descend.functional import keyed
from descend.functional.boxes import area, common

PHOTOS = ("astronaut.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "hubble_deep_field.jpg")
OTHERS = ("coffee.png", "ihc.png")
"""Photos of scikit-image behind training scenes, and behind validation and test scenes."""
FEWEST, MOST = 2, 6
"""Things in a scene."""
SMALLEST, LARGEST = 24, 56
"""Side of a thing, in pixels."""
COVERED = 0.2
"""A thing and any other have no more in common, as a share of the smaller one's box."""
TRIES = 100
"""Draws of a thing until it finds a place; a crowded scene has fewer things."""


Scene = tuple[UInt8[np.ndarray, "height width 3"], Tensor, list[int]]


class Scenes(Data):
    """Scene number i depends on (key, i) alone; it is made when it is first asked for, and held as bytes.

    Args:
        items: pictures of things, bright on black.
        labels: their classes.
        photos: what they stand before.
        count: how many scenes there are.
        codec: for the size, and how pictures are standardised.
        key: of all scenes.
    """

    def __init__(
        self,
        items: UInt8[Tensor, "n rows columns"],
        labels: UInt8[Tensor, "n"],
        photos: list[UInt8[np.ndarray, "height width 3"]],
        count: int,
        codec: BoxCodec,
        key: int = 0,
    ):
        self.items = items
        self.labels = labels
        self.photos = photos
        self.count = count
        self.codec = codec
        self.key = key
        self._held: dict[int, Scene] = {}

    def __len__(self) -> int:
        return self.count

    def gather(self, index: Int[Tensor, "batch"]) -> Batch:
        made = [self.scene(number) for number in index.tolist()]
        boxes, target = filled([boxes for _, boxes, _ in made], [kinds for *_, kinds in made])
        # One width for all batches: they are put together from several workers and ranks.
        room = MOST - boxes.shape[1]
        boxes = torch.nn.functional.pad(boxes, (0, 0, 0, room))
        target = torch.nn.functional.pad(target, (0, room), value=-1)
        x = torch.stack([torch.from_numpy(picture) for picture, *_ in made]).movedim(3, 1).float() / 255
        return Batch(x=self.codec.standardise(x), boxes=boxes, target=target)

    def scene(self, number: int) -> Scene:
        """The picture, the boxes and the classes in it."""
        if number not in self._held:
            self._held[number] = self._make(number)
        return self._held[number]

    def _make(self, number: int) -> Scene:
        draw = np.random.default_rng(keyed.mix(self.key, number))
        picture = self._behind(draw)
        boxes, kinds = torch.zeros(0, 4), []
        things, tries = int(draw.integers(FEWEST, MOST + 1)), 0
        while len(kinds) < things and tries < TRIES:
            tries += 1
            which = int(draw.integers(len(self.items)))
            light = self._scaled(self.items[which].numpy(), int(draw.integers(SMALLEST, LARGEST + 1)))
            rows, columns = light.shape
            top, left = (
                int(draw.integers(self.codec.height - rows + 1)),
                int(draw.integers(self.codec.width - columns + 1)),
            )
            box = torch.tensor([[left, top, left + columns, top + rows]], dtype=torch.float32)
            colour = draw.uniform(0.4, 1, 3)
            if len(boxes) and float((common(box, boxes) / area(boxes).minimum(area(box))).max()) > COVERED:
                continue
            boxes = torch.cat([boxes, box])
            kinds.append(int(self.labels[which]))
            # Dark parts of a thing let little through, black ones all: outside of it there is nothing.
            cover = np.clip(light[:, :, None] * 4, 0, 1)
            under = picture[top : top + rows, left : left + columns]
            picture[top : top + rows, left : left + columns] = (
                under * (1 - cover) + 255 * light[:, :, None] * colour * cover
            )
        return picture.astype(np.uint8), boxes, kinds

    def _behind(self, draw: np.random.Generator) -> np.ndarray:
        """A piece of a photo, of any scale."""
        from PIL import Image

        photo = self.photos[int(draw.integers(len(self.photos)))]
        height, width = self.codec.height, self.codec.width
        most = min(photo.shape[0] / height, photo.shape[1] / width)
        scale = draw.uniform(min(1.0, most), min(most, 3.0))
        rows, columns = int(height * scale), int(width * scale)
        top, left = draw.integers(photo.shape[0] - rows + 1), draw.integers(photo.shape[1] - columns + 1)
        piece = Image.fromarray(photo[top : top + rows, left : left + columns])
        return np.array(piece.resize((width, height), Image.Resampling.BILINEAR), np.float32)

    @staticmethod
    def _scaled(item: np.ndarray, side: int) -> np.ndarray:
        """What is to be seen of a thing, 0 … 1; its picture would have this side."""
        from PIL import Image

        seen = item > 16
        rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
        cut = item[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        size = [max(4, round(length * side / item.shape[0])) for length in (cut.shape[1], cut.shape[0])]
        return np.asarray(Image.fromarray(cut).resize((size[0], size[1]), Image.Resampling.BILINEAR), np.float32) / 255

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.key} {self.count} {self.codec.shape}".encode())
        for part in (self.items.numpy(), self.labels.numpy(), *self.photos):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()[:16]


def scenes(train: int = 20_000, size: int = 128, key: int = 0) -> Splits:
    """Scenes with two to six things of Fashion-MNIST's ten kinds before photos: training scenes of its training
    pictures, 500 validation scenes of the last 5,000 of these, 1,000 test scenes of its test pictures, before photos
    that no training scene shows.

    Args:
        train: how many training scenes.
        size: height and width, in pixels.

    Raises:
        ValueError: the largest thing would not fit.
    """
    if size < LARGEST:
        raise ValueError(f"scenes of {size}×{size} pixels have no room for things of {LARGEST}: give {LARGEST} or more")
    pictures, labels = read_idx(FILES["train-images"].find()), read_idx(FILES["train-labels"].find())
    test_pictures, test_labels = read_idx(FILES["t10k-images"].find()), read_idx(FILES["t10k-labels"].find())
    behind, others = ([_photo(name) for name in names] for names in (PHOTOS, OTHERS))
    # Photos have about this mean and spread; that of the training scenes is within a few percent of it.
    codec = BoxCodec(size, size, 3, (0.4, 0.4, 0.4), (0.27, 0.27, 0.27), LABELS)
    return Splits(
        Scenes(pictures[:55_000], labels[:55_000], behind, train, codec, keyed.mix(key, 0)),
        Scenes(pictures[55_000:], labels[55_000:], others, 500, codec, keyed.mix(key, 1)),
        Scenes(test_pictures, test_labels, others, 1000, codec, keyed.mix(key, 2)),
        codec,
        "scenes",
    )


def _photo(name: str) -> UInt8[np.ndarray, "height width 3"]:
    """One that lies in scikit-image's package, which is not imported."""
    from PIL import Image

    found = importlib.util.find_spec("skimage")
    path = Path(found.origin or "").parent / "data" / name if found else None
    if path is None or not path.is_file():
        raise BadData(
            f"the photo {name} comes in the package scikit-image, which is not there: pip install scikit-image"
        )
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB"))

"""Augmentations that move places, and with them what belongs to places: the class of each pixel, and boxes.

A ``target`` of the picture's own height and width is moved with it; so are ``boxes`` [batch, most, 4], as left, top,
right and bottom in pixels, cut at the picture's edges. A box without area is none, and stands where a picture has fewer
than the most.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from descend.data.augment.augment import Augment, Keys, Pictures, whole
from descend.data.batch import Batch
from descend.functional import keyed

Maps = Shaped[Tensor, "batch channels height width"]
Pieces = Shaped[Tensor, "batch channels rows columns"]
Boxes = Float[Tensor, "batch most 4"]


class Moving(Augment):
    """Base: `apply` moves pictures, `labels` classes of places, `boxes` boxes, alike under the same keys."""

    def __call__(self, batch: Batch, keys: Keys) -> Batch:
        x = batch["x"]
        if "target" in batch and batch["target"].shape == x.shape:
            raise ValueError(
                f"{type(self).__name__} came behind what damages a picture, and would move it away from the clean one: "
                "give what moves first"
            )
        moved = {"x": self.apply(x, keys)}
        if "target" in batch and batch["target"].shape[1:] == x.shape[2:]:
            moved["target"] = self.labels(batch["target"][:, None], keys)[:, 0]
        if "boxes" in batch:
            height, width = moved["x"].shape[2:]
            limits = batch["boxes"].new_tensor([width, height, width, height])
            moved["boxes"] = self.boxes(batch["boxes"], keys, *x.shape[2:]).clamp(min=0).minimum(limits)
        return type(batch)({**batch, **moved})

    def labels(self, classes: Maps, keys: Keys) -> Pieces:
        """Classes are never mixed."""
        return self.apply(classes, keys)

    @abstractmethod
    def boxes(self, boxes: Boxes, keys: Keys, height: int, width: int) -> Boxes: ...


@dataclass(frozen=True)
class Flip(Moving):
    """Left for right, with probability ``p``."""

    p: float = 0.5

    def apply(self, x: Maps, keys: Keys) -> Maps:
        columns = torch.arange(x.shape[3], device=x.device)
        columns = torch.where(self._turned(keys)[:, None], columns.flip(0), columns)
        return x.gather(3, columns[:, None, None].expand(x.shape))

    def boxes(self, boxes: Boxes, keys: Keys, height: int, width: int) -> Boxes:
        left, top, right, bottom = boxes.unbind(2)
        mirrored = torch.stack([width - right, top, width - left, bottom], 2)
        return torch.where(self._turned(keys)[:, None, None], mirrored, boxes)

    def _turned(self, keys: Keys) -> Tensor:
        return keyed.uniform(keys, 0) < self.p


@dataclass(frozen=True)
class FlipUnless(Flip):
    """Left for right, but not where a mirrored picture would be wrong, as beside a caption that says left.

    Args: name: of a batch's tensor [batch] that is true of what stays.
    """

    name: str = "sided"

    def __call__(self, batch: Batch, keys: Keys) -> Batch:
        if self.name not in batch:
            raise ValueError(
                f"FlipUnless: the batch has no {self.name!r}, which says what is not to be mirrored; it has "
                f"{', '.join(batch)}: give Flip() if all may be"
            )
        flipped = super().__call__(batch, keys)
        stays = batch[self.name]
        kept = {name: batch[name].where(_like(stays, batch[name]), moved) for name, moved in flipped.items()}
        return type(batch)(kept)


@dataclass(frozen=True)
class Turn(Moving):
    """By none to three quarter turns, each as likely, for what has no up and down and comes in squares: exact, where
    `Affine` blurs thin things and shifts their labels by half a pixel."""

    def apply(self, x: Maps, keys: Keys) -> Maps:
        if x.shape[2] != x.shape[3]:
            raise ValueError(f"Turn: a picture of {x.shape[2]}×{x.shape[3]} is no square: give Flip or Affine instead")
        turned = torch.stack([x.rot90(quarters, (2, 3)) for quarters in range(4)])
        return turned[whole(keys, 0, 4), torch.arange(len(x), device=x.device)]

    def boxes(self, boxes: Boxes, keys: Keys, height: int, width: int) -> Boxes:
        each = [boxes]
        for _ in range(3):
            left, top, right, bottom = each[-1].unbind(2)
            each.append(torch.stack([top, width - right, bottom, width - left], 2))
        there = ((boxes[:, :, 2] > boxes[:, :, 0]) & (boxes[:, :, 3] > boxes[:, :, 1]))[..., None]
        turned = torch.stack(each)[whole(keys, 0, 4), torch.arange(len(boxes), device=boxes.device)]
        return turned.where(there, 0.0)


@dataclass(frozen=True)
class RandomCrop(Moving):
    """A shift by whole pixels, up to ``padding`` each way; what comes in is the picture's own edge, repeated."""

    padding: int = 4

    def apply(self, x: Maps, keys: Keys) -> Maps:
        height, width = x.shape[2:]
        down, right = self._shift(keys)
        rows = (torch.arange(height, device=x.device) + down[:, None]).clamp(0, height - 1)
        columns = (torch.arange(width, device=x.device) + right[:, None]).clamp(0, width - 1)
        return _taken(x, rows, columns)

    def boxes(self, boxes: Boxes, keys: Keys, height: int, width: int) -> Boxes:
        down, right = self._shift(keys)
        return boxes - torch.stack([right, down, right, down], 1)[:, None].to(boxes.dtype)

    def _shift(self, keys: Keys) -> tuple[Tensor, Tensor]:
        down, right = (whole(keys, draw, 2 * self.padding + 1) - self.padding for draw in (0, 1))
        return down, right


@dataclass(frozen=True)
class Crop(Moving):
    """A piece of ``height`` × ``width`` pixels from anywhere, so that large pictures are learned from at their own
    size.

    Raises:
        ValueError: a picture is smaller.
    """

    height: int
    width: int

    @property
    def alone(self) -> bool:
        return False

    def apply(self, x: Maps, keys: Keys) -> Pieces:
        top, left = self._corner(keys, *x.shape[2:])
        rows = torch.arange(self.height, device=x.device) + top[:, None]
        columns = torch.arange(self.width, device=x.device) + left[:, None]
        return _taken(x, rows, columns)

    def boxes(self, boxes: Boxes, keys: Keys, height: int, width: int) -> Boxes:
        top, left = self._corner(keys, height, width)
        return boxes - torch.stack([left, top, left, top], 1)[:, None].to(boxes.dtype)

    def _corner(self, keys: Keys, height: int, width: int) -> tuple[Tensor, Tensor]:
        if height < self.height or width < self.width:
            raise ValueError(
                f"{self}: the pictures have {height}×{width} pixels: cut smaller pieces, or scale them up first"
            )
        return whole(keys, 0, height - self.height + 1), whole(keys, 1, width - self.width + 1)


@dataclass(frozen=True)
class Affine(Moving):
    """Shifted, turned and scaled, bilinear; what comes in repeats the edge.

    Args:
        shift: up to so many pixels each way.
        degrees: up to so far either way.
        scale: by a factor 1-scale … 1+scale.
    """

    shift: float = 2.0
    degrees: float = 10.0
    scale: float = 0.1

    def apply(self, x: Pictures, keys: Keys) -> Pictures:
        return self._sampled(x, keys, "bilinear")

    def labels(self, classes: Maps, keys: Keys) -> Maps:
        # Class numbers are exact in float32 up to 2^24.
        return self._sampled(classes.float(), keys, "nearest").to(classes.dtype)

    def boxes(self, boxes: Boxes, keys: Keys, height: int, width: int) -> Boxes:
        """The least boxes around the moved corners."""
        cosine, sine, right, down = (value[:, None, None].to(boxes.dtype) for value in self._motion(keys))
        left, top, far, bottom = (boxes[:, :, i : i + 1] for i in range(4))
        x = torch.cat([left, far, left, far], 2) - width / 2 - right
        y = torch.cat([top, top, bottom, bottom], 2) - height / 2 - down
        # What `_sampled` reads at a place is what stands at [cos, -sin; sin, cos]·place + shift: here the way back.
        size = cosine.square() + sine.square()
        x, y = (cosine * x + sine * y) / size + width / 2, (cosine * y - sine * x) / size + height / 2
        moved = torch.stack([x.amin(2), y.amin(2), x.amax(2), y.amax(2)], 2)
        return torch.where(((far > left) & (bottom > top)), moved, torch.zeros_like(boxes))

    def _sampled(self, x: Pictures, keys: Keys, mode: str) -> Pictures:
        height, width = x.shape[2:]
        cosine, sine, right, down = self._motion(keys)
        # grid_sample counts from -1 to 1 over the picture.
        right, down = right * 2 / width, down * 2 / height
        first = torch.stack([cosine, -sine * height / width, right], 1)
        second = torch.stack([sine * width / height, cosine, down], 1)
        grid = functional.affine_grid(torch.stack([first, second], 1).to(x.dtype), list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, mode, "border", align_corners=False)

    def _motion(self, keys: Keys) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cosine and sine over the size, and the shift in pixels, to the right and down."""
        angle, size, right, down = (2 * keyed.uniform(keys, draw) - 1 for draw in range(4))
        angle, size = angle * math.radians(self.degrees), 1 + size * self.scale
        return angle.cos() / size, angle.sin() / size, right * self.shift, down * self.shift


def _like(stays: Bool[Tensor, "batch"], tensor: Tensor) -> Tensor:
    """With as many axes as the tensor."""
    return stays.view(-1, *[1] * (tensor.ndim - 1))


def _taken(x: Maps, rows: Int[Tensor, "batch rows"], columns: Int[Tensor, "batch columns"]) -> Pieces:
    """These rows and columns of each picture."""
    # One gather over flat pictures takes a third of the time of indexing rows and columns.
    places = rows[:, :, None] * x.shape[3] + columns[:, None, :]
    found = x.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, x.shape[1], -1))
    return found.view(*x.shape[:2], rows.shape[1], columns.shape[1])

"""A dense detector without anchors, FCOS (Tian et al. 2019): every place of every map says what it lies in, how far the
edges are, and whether it is near the middle."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.models.vision.backbone import Backbone
from descend.nn import ConvBlock, FeaturePyramid, GroupNorm, He, Norm, ReLU, initialise

RARE = 0.01
"""What a place first believes that it lies in a thing of a class, so that the many empty ones do not drown the few
(Lin et al. 2017, section 3.3)."""


class Places(NamedTuple):
    """What the places of all maps say, the finest map first.

    Attributes:
        logits: of each class; each is a yes or no of its own.
        edges: pixels from the place to the left, top, right and bottom edge.
        middle: logit of how near the place is to the middle of its thing.
        points: x and y of each place, in pixels.
        strides: pixels between a place and its neighbours.
    """

    logits: Float[Tensor, "batch places classes"]
    edges: Float[Tensor, "batch places 4"]
    middle: Float[Tensor, "batch places"]
    points: Float[Tensor, "places 2"]
    strides: Float[Tensor, "places"]


class FCOS(nn.Module):
    """A backbone, a pyramid, and one head for all of its maps (figure 2 of the paper).

    >>> network = FCOS(Backbone(resnet18(), (3, 5, 7)), classes=3)

    Args:
        backbone: gives maps from fine to coarse.
        classes: kinds of things.
        width: channels of the pyramid and the head.
        depth: convolutions of each of the head's two branches.
        norm: behind each of them; one that does not couple samples, because the maps have unlike statistics.

    Raises:
        ValueError: a picture is smaller than the coarsest map's stride.
    """

    def __init__(self, backbone: Backbone, classes: int, width: int = 64, depth: int = 2, norm: Norm = GroupNorm(8)):
        super().__init__()
        self.backbone = backbone
        self.classes = classes
        self.width = width
        self.depth = depth
        self.norm = norm
        self.pyramid = FeaturePyramid(backbone.widths, width)
        self.what, self.where = (
            nn.Sequential(*(ConvBlock(width, width, 3, 1, norm, ReLU()) for _ in range(depth))) for _ in range(2)
        )
        self.logits = nn.Conv2d(width, classes, 3, padding=1)
        self.edges = nn.Conv2d(width, 4, 3, padding=1)
        self.middle = nn.Conv2d(width, 1, 3, padding=1)
        self.sizes = nn.Parameter(torch.ones(len(backbone.strides)))
        # He et al. 2015 before the ReLUs of the branches; the answers begin near nothing, and rare. The backbone comes
        # as it is: it may have learned already.
        for part in (self.pyramid, self.what, self.where):
            initialise(part, He())
        for last in (self.logits, self.edges, self.middle):
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.logits.bias, -math.log((1 - RARE) / RARE))  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Places:
        coarsest = max(self.backbone.strides)
        if min(x.shape[2:]) < coarsest:
            raise ValueError(
                f"FCOS: a picture of {x.shape[2]}×{x.shape[3]} is smaller than the coarsest stride, {coarsest}: "
                "scale it"
            )
        each = []
        for y, stride, size in zip(self.pyramid(self.backbone(x)), self.backbone.strides, self.sizes, strict=True):
            what, where = self.what(y), self.where(y)
            # A learned factor a map, because each sees things of another size.
            edges = size * self.edges(where)
            # Half precision would lose pixels.
            edges = edges.to(torch.promote_types(edges.dtype, torch.float32)).clamp(max=8).exp() * stride
            rows, columns = y.shape[2:]
            points = _points(rows, columns, stride, x)
            flat = (one.flatten(2).mT for one in (self.logits(what), edges, self.middle(where)))
            each.append((*flat, points, points.new_full((len(points),), stride)))
        logits, edges, middle, points, strides = zip(*each, strict=True)
        return Places(
            torch.cat(logits, 1),
            torch.cat(edges, 1),
            torch.cat(middle, 1)[:, :, 0],
            torch.cat(points),
            torch.cat(strides),
        )


def _points(rows: int, columns: int, stride: int, x: Tensor) -> Float[Tensor, "places 2"]:
    """The middles of a map's places, row by row."""
    down, across = (torch.arange(n, device=x.device, dtype=torch.float32) for n in (rows, columns))
    grid = torch.stack(torch.meshgrid(down, across, indexing="ij")[::-1], -1).flatten(0, 1)
    return (grid + 0.5) * stride

"""Teaching places: those near the middle of a thing learn its class and its edges, all others that they lie in nothing
(Tian et al. 2019, section 3; with the sampling around middles of its 2020 version)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from descend.functional import Mean
from descend.functional.boxes import area, giou, nms
from descend.models.vision.fcos import Places
from descend.tasks.detect.detect import MOST, Learn, padded

CANDIDATES = 300
"""The surest places of a picture, among which suppression chooses."""


@dataclass(frozen=True)
class Dense(Learn):
    """Focal loss of the classes, 1 - GIoU of the edges, cross-entropy of the middle (eq. 2 and 3).

    Args:
        radius: places that far from a thing's middle belong to it, in strides of their map.
        reach: a map takes things whose farthest edge is up to so many strides from the place; the finest map takes all
            smaller ones, the coarsest all larger ones.
        gamma, alpha: of the focal loss (Lin et al. 2017, eq. 5).
        overlap: of two answers of one class that overlap by more, the surer stays.
        least: confidence of an answer.
    """

    radius: float = 1.5
    reach: float = 8.0
    gamma: float = 2.0
    alpha: float = 0.25
    overlap: float = 0.6
    least: float = 0.05

    def outputs(self, model: nn.Module, x: Tensor, boxes: Tensor, target: Tensor) -> Places:
        return model(x)

    def loss(self, outputs: Places, boxes: Tensor, target: Tensor, size: tuple[int, int]) -> dict[str, Mean]:
        matched = self.assign(outputs.points, outputs.strides, boxes, target)
        there = matched >= 0
        thing = matched.clamp(min=0)
        count = there.sum()
        labels = functional.one_hot(target.gather(1, thing).clamp(min=0), outputs.logits.shape[2])
        classes = self._focal(outputs.logits.float(), (labels * there[..., None]).float())
        own = boxes.gather(1, thing[:, :, None].expand(-1, -1, 4))[there]
        points = outputs.points.expand(len(boxes), -1, -1)[there]
        edges = _edges(points, own)
        near = _middle(edges)
        found = _boxes(points, outputs.edges[there])
        return {
            "class": Mean(classes.sum(), count),
            # Places near the middle count more: they see their thing best.
            "overlap": Mean((near * (1 - giou(found, own))).sum(), near.sum()),
            "middle": Mean(
                functional.binary_cross_entropy_with_logits(outputs.middle[there].float(), near, reduction="sum"), count
            ),
        }

    def assign(
        self,
        points: Float[Tensor, "places 2"],
        strides: Float[Tensor, "places"],
        boxes: Float[Tensor, "batch most 4"],
        target: Int[Tensor, "batch most"],
    ) -> Int[Tensor, "batch places"]:
        """For each place the number of its thing, the smallest where there are several, or -1."""
        edges = _edges(points[:, None], boxes[:, None])
        middle = (boxes[..., :2] + boxes[..., 2:]) / 2
        away = (points[:, None] - middle[:, None]).abs().amax(3)
        farthest = edges.amax(3) / strides[:, None]
        fits = (edges.amin(3) > 0) & (away < self.radius * strides[:, None]) & (target >= 0)[:, None]
        # What is too large for one map is right for the next, whose stride may be any times as large.
        levels = strides.unique()
        finer = torch.cat([levels.new_zeros(1), levels[:-1]])[torch.searchsorted(levels, strides)]
        fits &= (farthest <= self.reach) | (strides == strides.max())[:, None]
        fits &= (farthest > (self.reach * finer / strides)[:, None]) | (finer == 0)[:, None]
        sizes = area(boxes)[:, None].expand_as(away).masked_fill(~fits, torch.inf)
        smallest = sizes.min(2)
        return smallest.indices.where(smallest.values.isfinite(), -1)

    def _focal(self, logits: Tensor, target: Tensor) -> Tensor:
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        chance = logits.sigmoid()
        wrong = torch.where(target > 0, 1 - chance, chance)
        return torch.where(target > 0, self.alpha, 1 - self.alpha) * wrong**self.gamma * losses

    def answers(self, outputs: Places, size: tuple[int, int]) -> Float[Tensor, "batch most 6"]:
        """Confidence is √(class · middle), as in the 2020 version."""
        chances, labels = outputs.logits.float().sigmoid().max(2)
        sure = (chances * outputs.middle.float().sigmoid()).sqrt()
        height, width = size
        limits = sure.new_tensor([width, height, width, height])
        boxes = _boxes(outputs.points, outputs.edges.float()).clamp(min=0).minimum(limits)
        rows = []
        for picture in range(len(sure)):
            best = sure[picture].topk(min(CANDIDATES, sure.shape[1]))
            some = best.indices[best.values > self.least]
            own, score, label = boxes[picture, some], sure[picture, some], labels[picture, some]
            kept = nms(own, score, label, self.overlap)[:MOST]
            rows.append(torch.cat([own[kept], score[kept, None], label[kept, None].to(own.dtype)], 1))
        return padded(rows)


def _edges(points: Float[Tensor, "... 2"], boxes: Float[Tensor, "... 4"]) -> Float[Tensor, "... 4"]:
    """How far the edges are from a place, to the left, top, right and bottom; below 0 where it lies outside."""
    return torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], -1)


def _boxes(points: Float[Tensor, "... 2"], edges: Float[Tensor, "... 4"]) -> Float[Tensor, "... 4"]:
    return torch.cat([points - edges[..., :2], points + edges[..., 2:]], -1)


def _middle(edges: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    """1 in the middle, 0 at an edge (eq. 3)."""
    across, down = edges[:, 0::2], edges[:, 1::2]
    shares = [each.amin(1) / each.amax(1).clamp(min=1e-6) for each in (across, down)]
    return (shares[0] * shares[1]).clamp(min=0).sqrt()

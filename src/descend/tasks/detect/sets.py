"""Teaching queries: each thing goes to one query, so that the whole costs least, and all other queries learn to answer
none (Carion et al. 2020, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from descend.functional import Mean
from descend.functional.boxes import corners, giou
from descend.models.vision.detr import Answers, DenoisingQueries, Truth, truth_of
from descend.tasks.detect.detect import MOST, Learn, padded


@dataclass(frozen=True)
class Sets(Learn):
    """-log p(class) + ``box`` · |b - b'| + ``overlap`` · (1 - GIoU), of each thing and the query it was matched with,
    summed over the layers of the decoder (eq. 2 and 9, and "auxiliary decoding losses", section 3.2).

    Args:
        box: weight of the distance of boxes, whose four numbers are shares of the picture.
        overlap: weight of the generalised intersection over union.
        none: weight of the class "none" in the cross-entropy.
        layers: teach every layer of the decoder; else the last alone.
    """

    box: float = 5.0
    overlap: float = 2.0
    none: float = 0.1
    layers: bool = True

    def outputs(self, model: nn.Module, x: Tensor, boxes: Tensor, target: Tensor) -> Answers:
        if isinstance(getattr(model, "queries", None), DenoisingQueries):
            return model(x, truth_of(boxes, target, x.shape[2], x.shape[3]))
        return model(x)

    def loss(self, outputs: Answers, boxes: Tensor, target: Tensor, size: tuple[int, int]) -> dict[str, Mean]:
        truth = truth_of(boxes, target, *size)
        first = 0 if self.layers else len(outputs.logits) - 1
        parts: dict[str, Mean] = {}
        for logits, found in zip(outputs.logits[first:], outputs.boxes[first:], strict=True):
            _add(parts, "", self._terms(logits, found, match(self.costs(logits, found, truth), truth.target), truth))
        if outputs.mended is not None:
            again = outputs.mended[0].shape[2] // truth.target.shape[1]
            many = Truth(truth.boxes.repeat(1, again, 1), truth.target.repeat(1, again))
            own = torch.arange(many.target.shape[1], device=target.device).where(many.target >= 0, -1)
            for logits, found in zip(*(each[first:] for each in outputs.mended), strict=True):
                _add(parts, "mended_", self._terms(logits, found, own, many, free=0.0))
        return parts

    def costs(
        self, logits: Float[Tensor, "batch queries answers"], found: Float[Tensor, "batch queries 4"], truth: Truth
    ) -> Float[Tensor, "batch queries most"]:
        """What matching a query with a thing would cost."""
        classes = truth.target.clamp(min=0)[:, None].expand(-1, logits.shape[1], -1)
        chance = logits.detach().softmax(2).gather(2, classes)
        a, b = found.detach()[:, :, None], truth.boxes[:, None]
        far = (a - b).abs().sum(3)
        return self.box * far - chance - self.overlap * giou(corners(a), corners(b))

    def _terms(
        self, logits: Tensor, found: Tensor, matched: Int[Tensor, "batch queries"], truth: Truth, free: float = 1.0
    ) -> dict[str, Mean]:
        """Args: free: whether queries that nothing was matched with learn to answer none."""
        there, none = matched >= 0, logits.shape[2] - 1
        thing = matched.clamp(min=0)
        target = truth.target.gather(1, thing).where(there, none)
        weights = torch.where(there, 1.0, self.none * free)
        losses = functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")
        b = truth.boxes.gather(1, thing[:, :, None].expand(-1, -1, 4))
        # Where nothing was matched the box is left out before anything is computed, so that no gradient is 0 · ∞.
        a, b, things = found[there], b[there], there.sum()
        return {
            "class": Mean.of(losses, weights),
            "box": self.box * Mean((a - b).abs().sum(), things),
            "overlap": self.overlap * Mean((1 - giou(corners(a), corners(b))).sum(), things),
        }

    def answers(self, outputs: Answers, size: tuple[int, int]) -> Float[Tensor, "batch most 6"]:
        """Every query's likeliest class; queries hardly ever say the same, so that nothing is to be suppressed."""
        chances, labels = outputs.logits[-1].softmax(2)[:, :, :-1].max(2)
        height, width = size
        limits = chances.new_tensor([width, height, width, height])
        places = (corners(outputs.boxes[-1]) * limits).clamp(min=0).minimum(limits)
        rows = torch.cat([places, chances[..., None], labels[..., None].to(places.dtype)], 2)
        order = chances.argsort(1, descending=True)[:, :MOST]
        return padded(list(rows.gather(1, order[:, :, None].expand(-1, -1, 6))))


def match(
    costs: Float[Tensor, "batch queries most"], target: Int[Tensor, "batch most"]
) -> Int[Tensor, "batch queries"]:
    """For each query the number of its thing, or -1; all together cost least (Kuhn 1955, "The Hungarian method")."""
    from scipy.optimize import linear_sum_assignment

    table, there = costs.double().nan_to_num(1e9, 1e9, -1e9).cpu().numpy(), (target >= 0).cpu().numpy()
    matched = torch.full(costs.shape[:2], -1, dtype=torch.int64)
    for row in range(len(table)):
        things = there[row].nonzero()[0]
        queries, chosen = linear_sum_assignment(table[row][:, things])
        matched[row, torch.from_numpy(queries)] = torch.from_numpy(things[chosen])
    return matched.to(costs.device)


def _add(parts: dict[str, Mean], name: str, terms: dict[str, Mean]) -> None:
    for key, mean in terms.items():
        parts[name + key] = parts[name + key] + mean if name + key in parts else mean

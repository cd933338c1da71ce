"""Boxes: left, top, right, bottom, from the upper left corner. Pairs are made by broadcasting:

>>> iou(found[:, None], true)        # [n, 4] and [m, 4] to [n, m]
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

Boxes = Float[Tensor, "... 4"]


def area(boxes: Boxes) -> Float[Tensor, "..."]:
    """Width times height; 0 for what has none."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def iou(a: Boxes, b: Boxes) -> Float[Tensor, "..."]:
    """|a ∩ b| / |a ∪ b|, 0 … 1; 0 where neither has an area."""
    both, union = _overlap(a, b)
    return both / union.clamp(min=torch.finfo(union.dtype).tiny)


def giou(a: Boxes, b: Boxes) -> Float[Tensor, "..."]:
    """IoU less the share of the least box around both that neither covers, -1 … 1; it also tells boxes that are near
    from boxes that are far (Rezatofighi et al. 2019, algorithm 1)."""
    both, union = _overlap(a, b)
    around = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    least = torch.finfo(union.dtype).tiny
    return both / union.clamp(min=least) - (around - union) / around.clamp(min=least)


def common(a: Boxes, b: Boxes) -> Float[Tensor, "..."]:
    """The area of what is in both."""
    return (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)


def _overlap(a: Boxes, b: Boxes) -> tuple[Tensor, Tensor]:
    """The areas of what is common to two boxes, and of both together."""
    both = common(a, b)
    return both, area(a) + area(b) - both


def corners(boxes: Float[Tensor, "... 4"]) -> Boxes:
    """From middle x, middle y, width, height."""
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], -1)


def middles(boxes: Boxes) -> Float[Tensor, "... 4"]:
    """Middle x, middle y, width, height."""
    first, last = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(first + last) / 2, last - first], -1)


def nms(
    boxes: Float[Tensor, "n 4"],
    scores: Float[Tensor, "n"],
    labels: Int[Tensor, "n"] | None = None,
    most: float = 0.5,
) -> Int[Tensor, "kept"]:
    """The boxes that stay, the best first: each one that overlaps no better one of its class by more than ``most``
    (non-maximum suppression; Felzenszwalb et al. 2010, section 4.2)."""
    order = scores.argsort(descending=True, stable=True)
    rivals = iou(boxes[order, None], boxes[order]) > most
    if labels is not None:
        rivals &= labels[order, None] == labels[order]
    # Row by row on the host: whether a box suppresses hangs on all better ones.
    table, out, kept = rivals.cpu().numpy(), torch.zeros(len(order), dtype=torch.bool).numpy(), []
    for row in range(len(order)):
        if not out[row]:
            kept.append(row)
            out |= table[row]
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]

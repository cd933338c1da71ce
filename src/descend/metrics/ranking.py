"""How well a score parts what is to be found from what is not."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from descend.functional import keyed


class AUROC(Metric):
    """The area under the receiver operating characteristic: the chance that one that is to be found scores higher than
    one that is not, equal scores counting half (Hanley and McNeil 1982); one number for each column of scores, and
    keeps them all.

    torchmetrics' own takes scores outside 0 … 1 for logits and squashes them, which makes large ones equal.

    Raises:
        ValueError: when computed: of a column all are to be found, or none is.
    """

    higher_is_better = True
    full_state_update = False
    scores: list[Tensor]
    found: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("found", [], dist_reduce_fx="cat")

    def update(self, scores: Float[Tensor, "batch columns"], found: Bool[Tensor, "batch columns"]) -> None:
        self.scores.append(scores.float())
        self.found.append(found)

    def compute(self) -> Float[Tensor, "columns"]:
        scores, found = (dim_zero_cat(one) for one in (self.scores, self.found))
        return torch.stack([area(*column) for column in zip(scores.mT, found.mT, strict=True)])


class MeanAUROC(AUROC):
    """The mean over the columns."""

    def compute(self) -> Float[Tensor, ""]:
        return super().compute().mean()


def area(scores: Float[Tensor, "n"], found: Bool[Tensor, "n"]) -> Float[Tensor, ""]:
    """Of one column: from the sum of ranks, those of equal scores being their mean (Mann and Whitney 1947)."""
    positive = int(found.sum())
    negative = len(found) - positive
    if not positive or not negative:
        raise ValueError(
            f"of {len(found)} samples {positive} are to be found: a ranking is scored by some that are and some that "
            "are not"
        )
    _, place, times = scores.unique(return_inverse=True, return_counts=True)
    ranks = (times.cumsum(0) - (times - 1) / 2).double()[place]
    return ((ranks[found].sum() - positive * (positive + 1) / 2) / (positive * negative)).float()


class Retrieval(Metric):
    """How often a row's own partner is among the ``first`` of so many candidates, in groups drawn by key; keeps all
    points.

    Args:
        candidates: in a group, the own one among them; all there are, where they are fewer.
        first: places that count as found.
    """

    higher_is_better = True
    full_state_update = False
    asking: list[Tensor]
    asked: list[Tensor]

    def __init__(self, candidates: int = 100, first: int = 1):
        super().__init__()
        self.candidates = candidates
        self.first = first
        self.add_state("asking", [], dist_reduce_fx="cat")
        self.add_state("asked", [], dist_reduce_fx="cat")

    def update(self, asking: Float[Tensor, "batch width"], asked: Float[Tensor, "batch width"]) -> None:
        self.asking.append(asking.float())
        self.asked.append(asked.float())

    def compute(self) -> Float[Tensor, ""]:
        asking, asked = (dim_zero_cat(one) for one in (self.asking, self.asked))
        own = torch.arange(len(asked), device=asked.device)
        return (ranks_among(asking @ asked.mT, own, self.candidates) < self.first).float().mean()


def ranks_among(
    scores: Float[Tensor, "n all"], own: Int[Tensor, "n"], candidates: int = 100, groups: int = 20, key: int = 0
) -> Float[Tensor, "groups n"]:
    """The place, from 0, of each row's own column among the columns of a group; equal scores share the mean of their
    places, so that who says the same of all finds nothing.

    Args:
        own: number of each row's column.
        candidates: columns of a group, the own one among them; all, where they are fewer.
        groups: drawn by key, one after the other, each without repetition.
    """
    found, right = [], scores.gather(1, own[:, None])
    for group in range(groups):
        chosen = keyed.permutation(scores.shape[1], key, group)[:candidates].to(scores.device)
        part, others = scores[:, chosen], chosen != own[:, None]
        # Where the own one was not drawn, it takes the place of the last.
        others[:, -1] &= ~others.all(1)
        found.append(((part > right) & others).sum(1) + ((part == right) & others).sum(1) / 2)
    return torch.stack(found)

"""How near made samples come to real ones, as two clouds of points."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from descend.functional import keyed

DIRECTIONS = 128
"""Lines that clouds are seen along."""


def sliced_wasserstein(
    made: Float[Tensor, "n *shape"], real: Float[Tensor, "m *shape"], directions: int = DIRECTIONS, seed: int = 0
) -> Float[Tensor, ""]:
    """How far two clouds of points lie apart: the Wasserstein distance of order 2 along a line, squared, averaged over
    lines of random direction, and its root (Bonneel et al. 2015, definition 4)

        √ E_θ (1/n) Σ_i (a_(i) - b_(i))²,        a_(1) ≤ … ≤ a_(n) the points' places θ · x along the line.

    In the points' own unit. The root of a cloud's own spread along a line goes with 1/√(axes) of its whole spread.

    Args:
        directions: how many lines.
        seed: of their directions.

    Raises:
        ValueError: the clouds hold unlike numbers of points.
    """
    lines = _lines(made.shape[1:].numel(), directions, seed, made.device)
    return _apart(made.flatten(1).float() @ lines, real.flatten(1).float() @ lines)


class SlicedWasserstein(Metric):
    """`sliced_wasserstein` of all made samples and all real ones; it keeps their places along the lines.

    Attributes:
        count: of the real samples seen.
    """

    higher_is_better = False
    full_state_update = False
    made: list[Tensor]
    real: list[Tensor]

    def __init__(self, directions: int = DIRECTIONS, seed: int = 0):
        super().__init__()
        self.directions = directions
        self.seed = seed
        self.add_state("made", [], dist_reduce_fx="cat")
        self.add_state("real", [], dist_reduce_fx="cat")

    @property
    def count(self) -> int:
        return sum(map(len, self.real))

    def update(self, made: Float[Tensor, "n *shape"], real: Float[Tensor, "m *shape"]) -> None:
        lines = _lines(made.shape[1:].numel(), self.directions, self.seed, made.device)
        self.made.append(made.flatten(1).float() @ lines)
        self.real.append(real.flatten(1).float() @ lines)

    def compute(self) -> Tensor:
        made, real = (one if isinstance(one, Tensor) else torch.cat(one) for one in (self.made, self.real))
        return _apart(made, real)


def _lines(axes: int, directions: int, seed: int, device: torch.device) -> Float[Tensor, "axes directions"]:
    drawn = torch.randn(axes, directions, generator=keyed.generator(seed, axes))
    return (drawn / drawn.norm(dim=0)).to(device)


def _apart(made: Float[Tensor, "n lines"], real: Float[Tensor, "m lines"]) -> Float[Tensor, ""]:
    if len(made) != len(real):
        raise ValueError(f"{len(made)} points were made and {len(real)} are real: give as many of each")
    return (made.sort(0).values - real.sort(0).values).square().mean().sqrt()

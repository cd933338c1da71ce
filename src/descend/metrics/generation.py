"""How near a set of things that were made comes to a set of real ones, by their features.

    Fréchet distance (Heusel et al. 2017, eq. 6)     |m - n|² + tr(C + D - 2·(C·D)^½)
    precision, recall (Kynkäänniemi et al. 2019)     made ones among the real, real ones among the made
    density, coverage (Naeem et al. 2020)            how many real ones a made one is among; real ones that have company

The first holds two normal distributions against each other, means m, n and covariances C, D. The others ask whether
something lies *among* others: within the distance from one of them to its own k-th nearest neighbour.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

TOGETHER = 256
"""Rows whose distances to all others are held at once."""

Features = Float[Tensor, "n width"]
Others = Float[Tensor, "m width"]


def frechet_distance(features: Features, others: Others) -> Float[Tensor, ""]:
    """Of the normal distributions with their means and (unbiased) covariances; in float64, 0 where they are alike.

    Fewer samples give a larger distance, so only distances of as many are to be compared.

    Raises:
        ValueError: a set has fewer than two rows, and so no covariance.
    """
    if min(len(features), len(others)) < 2:
        raise ValueError(
            f"a Fréchet distance of {len(features)} and {len(others)} rows: a covariance takes two or more"
        )
    one, other = features.double(), others.double()
    return frechet_of_normals(one.mean(0), _covariance(one), other.mean(0), _covariance(other))


def frechet_of_normals(
    mean: Float[Tensor, "width"],
    covariance: Float[Tensor, "width width"],
    other_mean: Float[Tensor, "width"],
    other_covariance: Float[Tensor, "width width"],
) -> Float[Tensor, ""]:
    """Of two normal distributions (Dowson and Landau 1982); covariances may be singular."""
    # The trace of (C·D)^½ is the sum of the singular values of C^½·D^½: no root of a product, which is not symmetric
    # and, where a covariance is singular, has eigenvalues that rounding makes negative.
    both = torch.linalg.svdvals(_root(covariance) @ _root(other_covariance)).sum()
    found = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * both
    return found.clamp(min=0)


def precision_recall(real: Features, made: Others, neighbours: int = 3) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The share of made ones that lie among the real (what is made is good), and of real ones that lie among the made
    (nothing is left out); eq. 1 to 3, with the paper's k of 3.

    Raises:
        ValueError: a set has no k-th neighbour.
    """
    return (
        _company(made, real, radii(real, neighbours)).gt(0).double().mean(),
        _company(real, made, radii(made, neighbours)).gt(0).double().mean(),
    )


def density_coverage(real: Features, made: Others, neighbours: int = 5) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """How many real ones a made one is among, over k (1 where both are alike, more where the made ones crowd); and the
    share of real ones that have a made one near. Sections 3.1 and 3.2, with the paper's k of 5.

    Only the real ones' own distances are asked, so that a few made ones far off change little.

    Raises:
        ValueError: the real ones have no k-th neighbour.
    """
    near = radii(real, neighbours)
    density = _company(made, real, near).double().mean() / neighbours
    covered = torch.cat([distances(part, made).min(1).values for part in real.split(TOGETHER)]) <= near
    return density, covered.double().mean()


def radii(features: Features, neighbours: int) -> Float[Tensor, "n"]:
    """From each row to its k-th nearest other one.

    Raises:
        ValueError: there are not as many others.
    """
    if not 1 <= neighbours < len(features):
        raise ValueError(f"{len(features)} rows have no {neighbours}. nearest other: give more, or fewer neighbours")
    # The nearest of all is the row itself.
    parts = [distances(part, features).kthvalue(neighbours + 1).values for part in features.split(TOGETHER)]
    return torch.cat(parts)


def distances(features: Features, others: Others) -> Float[Tensor, "n m"]:
    """Between all pairs of two sets; exactly 0 between equal rows, which squares multiplied out would miss."""
    return torch.cdist(features, others, compute_mode="donot_use_mm_for_euclid_dist")


def nearest(rows: Features, others: Others, many: int = 1) -> tuple[Float[Tensor, "n many"], Tensor]:
    """For each row the distance to its nearest others, and their numbers, [n, many], the nearest first.

    Squares multiplied out, which is fast, choose a few more than are asked for; these are then measured exactly.

    Raises:
        ValueError: there are not as many others.
    """
    if not 1 <= many <= len(others):
        raise ValueError(f"asked for the {many} nearest of {len(others)}")
    lengths = others.square().sum(1)
    found: list[tuple[Tensor, Tensor]] = []
    for part in rows.split(TOGETHER):
        chosen = (lengths - 2 * part @ others.T).topk(min(many + 4, len(others)), largest=False).indices
        exact = (part[:, None] - others[chosen]).norm(dim=2)
        values, places = exact.sort(dim=1, stable=True)
        found.append((values[:, :many], chosen.gather(1, places)[:, :many]))
    return torch.cat([values for values, _ in found]), torch.cat([numbers for _, numbers in found])


def _company(rows: Features, others: Others, near: Float[Tensor, "m"]) -> Tensor:
    """For each row, among how many others it lies."""
    return torch.cat([(distances(part, others) <= near).sum(1) for part in rows.split(TOGETHER)])


def _covariance(features: Tensor) -> Tensor:
    """Of the columns; torch.cov gives a single column's without axes."""
    return features.T.cov().reshape(features.shape[1], features.shape[1])


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root; what rounding left below 0 is 0."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T

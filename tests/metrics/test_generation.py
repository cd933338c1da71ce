"""Sets of features against each other: closed forms, scipy's root, neighbours by hand and by scikit-learn."""

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.neighbors import NearestNeighbors

from descend.functional import keyed
from descend.metrics import (
    density_coverage,
    frechet_distance,
    frechet_of_normals,
    nearest,
    precision_recall,
    radii,
)


def cloud(n, width, key, dtype=torch.float32):
    return torch.randn(n, width, generator=keyed.generator(key), dtype=dtype)


def test_frechet_of_normals_that_share_their_axes():
    """|m - n|² + Σ (√c - √d)², whichever way the axes are turned."""
    c, d = torch.tensor([4.0, 9.0, 0.0]).double(), torch.tensor([1.0, 16.0, 25.0]).double()
    m, n = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([1.0, 0.0, 3.5]).double()
    turn = torch.linalg.qr(cloud(3, 3, 0, torch.float64)).Q
    found = frechet_of_normals(turn @ m, turn @ c.diag() @ turn.T, turn @ n, turn @ d.diag() @ turn.T)
    # The root of an eigenvalue that is 0 is as large as that of its rounding.
    assert found.item() == pytest.approx(4.25 + (1 + 1 + 25), abs=3e-6)


@pytest.mark.parametrize(("n", "m"), [(200, 300), (6, 300), (5, 7)])
def test_frechet_is_what_scipys_root_gives(n, m):
    """Also where there are fewer rows than numbers in one, so that covariances are singular."""
    real, made = cloud(n, 8, 1), 0.3 + cloud(m, 8, 2) @ cloud(8, 8, 3)
    a, b = real.double().numpy(), made.double().numpy()
    c, d = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(c @ d).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c + d - 2 * root)
    assert frechet_distance(real, made).item() == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(made, real).item() == pytest.approx(expected, rel=1e-5)


def test_frechet_of_the_same_is_nothing_and_of_a_shift_its_square():
    real = cloud(50, 70, 4)  # more numbers than rows
    assert frechet_distance(real, real[keyed.permutation(50, 0)]).item() == pytest.approx(0, abs=1e-6)
    assert frechet_distance(real, real + 0.5).item() == pytest.approx(70 * 0.25, rel=1e-5)
    column = cloud(50, 1, 5)
    assert frechet_distance(column, 3 * column).item() == pytest.approx(
        float(4 * column.double().mean() ** 2 + 4 * column.double().var()), rel=1e-6
    )


def test_neighbours_are_scikit_learns():
    rows = cloud(600, 5, 6)  # more than are held at once
    expected = NearestNeighbors(n_neighbors=4).fit(rows.numpy()).kneighbors(rows.numpy())[0][:, 3]
    assert radii(rows, 3).numpy() == pytest.approx(expected, rel=1e-5)
    asked = cloud(300, 5, 7)
    asked[:10] = rows[50:60]
    values, numbers = nearest(asked, rows, 3)
    expected, places = NearestNeighbors(n_neighbors=3).fit(rows.numpy()).kneighbors(asked.numpy())
    assert values.numpy() == pytest.approx(expected, abs=1e-5)
    assert numbers.tolist() == places.tolist()
    assert values[:10, 0].tolist() == [0.0] * 10


def test_precision_recall_density_and_coverage_by_hand():
    """Real ones at 0, 1, 2, 10; k = 1 gives them reaches of 1, 1, 1, 8."""
    real = torch.tensor([0.0, 1.0, 2.0, 10.0])[:, None]
    assert radii(real, 1).tolist() == [1, 1, 1, 8]
    made = torch.tensor([0.5, 1.5, 30.0])[:, None]  # reaches of 1, 1, 28.5
    precision, recall = precision_recall(real, made, 1)
    assert precision.item() == pytest.approx(2 / 3)
    assert recall.item() == pytest.approx(1)  # by the one far off, which reaches everywhere
    density, coverage = density_coverage(real, made, 1)
    assert density.item() == pytest.approx((2 + 2 + 0) / 3)  # 10 reaches to 2 and no further
    assert coverage.item() == pytest.approx(3 / 4)  # the nearest to 10 is 8.5 away


@pytest.mark.slow
def test_they_are_counted_as_in_the_papers():
    """All pairs, one by one."""
    real, made, k = cloud(40, 3, 8), 0.8 * cloud(30, 3, 9) + 0.4, 4

    def reach(rows, i):
        return sorted((rows[i] - other).norm().item() for other in rows)[k]

    def among(row, rows):
        return sum((row - rows[i]).norm().item() <= reach(rows, i) for i in range(len(rows)))

    precision, recall = precision_recall(real, made, k)
    assert precision.item() == pytest.approx(sum(among(y, real) > 0 for y in made) / 30)
    assert recall.item() == pytest.approx(sum(among(x, made) > 0 for x in real) / 40)
    density, coverage = density_coverage(real, made, k)
    assert density.item() == pytest.approx(sum(among(y, real) for y in made) / (30 * k))
    near = [min((x - y).norm().item() for y in made) <= reach(real, i) for i, x in enumerate(real)]
    assert coverage.item() == pytest.approx(sum(near) / 40)
    assert 0 < coverage < 1


def test_samples_of_the_same_and_of_half_and_of_elsewhere():
    real, same, elsewhere = cloud(500, 4, 10), cloud(500, 4, 11), cloud(500, 4, 12) + 50
    half = same[same[:, 0] > 0].repeat(2, 1)[:500] + 0.01 * cloud(500, 4, 13)[: 2 * int((same[:, 0] > 0).sum())]
    assert min(precision_recall(real, same)) > 0.8
    assert density_coverage(real, same)[0] == pytest.approx(1, abs=0.1)
    precision, recall = precision_recall(real, half)
    assert precision > 0.8  # all of it is good
    assert recall < 0.65  # and half is left out
    assert density_coverage(real, half)[1] < 0.65
    assert [*precision_recall(real, elsewhere), *density_coverage(real, elsewhere)] == [0, 0, 0, 0]


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="1 and 5 rows: a covariance takes two"):
        frechet_distance(cloud(1, 2, 0), cloud(5, 2, 0))
    with pytest.raises(ValueError, match=r"3 rows have no 3\. nearest other"):
        precision_recall(cloud(3, 2, 0), cloud(9, 2, 0))
    with pytest.raises(ValueError, match="the 4 nearest of 3"):
        nearest(cloud(1, 2, 0), cloud(3, 2, 0), 4)

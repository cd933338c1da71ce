"""Keyed randomness: a function of the key, and random enough."""

import pytest
import torch

from descend.functional import keyed
from tests.reference.splitmix import CUT, first

IDS = torch.arange(20_000)


def test_mix_depends_on_every_key_and_their_order():
    found = {keyed.mix(a, b, c) for a in range(20) for b in range(20) for c in range(20)}
    assert len(found) == 8000
    assert keyed.mix(1, 2) != keyed.mix(2, 1)
    assert keyed.mix(0) != keyed.mix(0, 0)
    assert all(0 <= number < 1 << 63 for number in found)
    assert keyed.mix(-1) != keyed.mix(1)


def test_mix_is_splitmix64():
    """The first output of the published generator from state 1234567 is known."""
    state = (1234567 + 0x9E3779B97F4A7C15) % 2**64
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    z ^= z >> 31
    assert z == 6457827717110365317
    assert keyed.mix(1234567) == z >> 1


def test_keys_are_mixed_and_ids_are_hashed_as_the_generators_outputs():
    """Later keys go on from the state; sample n has the n-th output from the key. torch's products wrap alike."""
    assert first(3, 1234567)[1:] == [3203168211198807973, 9817491932198370423], "the published second and third"
    assert keyed.mix(3, 4) == first(1, first(1, 3)[0] + 4)[0] >> 1
    expected = [one - CUT if one >= CUT // 2 else one for one in first(6, keyed.mix(7, 8))]
    assert keyed.hashed(torch.arange(1, 7), 7, 8).tolist() == expected
    assert keyed.hashed(torch.arange(1, 7, dtype=torch.int32), 7, 8).tolist() == expected


def test_a_normal_number_is_finite_where_its_uniform_one_is_0(monkeypatch):
    monkeypatch.setattr(keyed, "uniform", lambda keys, draw: torch.zeros(len(keys)))
    assert keyed.normal(IDS[:3], 0).tolist() == [0, 0, 0]


def test_a_permutation_holds_every_number_and_changes_with_the_key():
    first, again, other = (keyed.permutation(1000, 5, epoch) for epoch in (0, 0, 1))
    assert sorted(first.tolist()) == list(range(1000))
    assert torch.equal(first, again)
    assert (first == other).float().mean() < 0.01


def test_reseed_is_a_function_of_the_key_and_leaves_the_permutation_alone():
    keyed.reseed(3, 7)
    first = torch.rand(5)
    torch.rand(100)
    keyed.permutation(10, 1)
    keyed.reseed(3, 7)
    assert torch.equal(first, torch.rand(5))
    keyed.reseed(3, 8)
    assert not torch.equal(first, torch.rand(5))


def test_hashes_do_not_depend_on_the_batch():
    order = keyed.permutation(len(IDS), 9)
    assert torch.equal(keyed.hashed(IDS, 4, 2)[order], keyed.hashed(IDS[order], 4, 2))
    assert keyed.hashed(IDS, 4, 2).unique().numel() == len(IDS)
    assert not (keyed.hashed(IDS, 4, 2) == keyed.hashed(IDS, 4, 3)).any()


@pytest.mark.parametrize("draw", [0, 1, 7])
def test_uniform_is_uniform(draw):
    values = keyed.uniform(keyed.hashed(IDS, 1), draw)
    assert values.min() >= 0
    assert values.max() < 1
    counts = torch.histc(values, 50, 0, 1)
    chi = ((counts - 400) ** 2 / 400).sum().item()  # 49 degrees of freedom: mean 49, s.d. 10
    assert 15 < chi < 100


def test_draws_are_independent():
    keys = keyed.hashed(IDS, 1)
    draws = torch.stack(
        [keyed.uniform(keys, draw) for draw in range(4)] + [keyed.normal(keys, draw) for draw in range(2)]
    )
    correlation = torch.corrcoef(draws) - torch.eye(6)
    assert correlation.abs().max() < 0.03


def test_normal_is_normal():
    values = keyed.normal(keyed.hashed(IDS, 2), 0)
    assert values.isfinite().all()
    assert values.mean().abs() < 0.03
    assert values.std() == pytest.approx(1, abs=0.03)
    assert (values.abs() < 1).float().mean() == pytest.approx(0.6827, abs=0.015)


def test_many_normal_numbers_for_every_key():
    keys = keyed.hashed(IDS[:200], 3)
    values = keyed.normals(keys, 501)
    assert values.shape == (200, 501)
    assert values.isfinite().all()
    assert values.mean().abs() < 0.015
    assert values.std() == pytest.approx(1, abs=0.01)
    assert (values.abs() < 1).float().mean() == pytest.approx(0.6827, abs=0.006)
    assert values.flatten().unique().numel() > 0.99 * values.numel()  # float32 holds only so many
    correlation = torch.corrcoef(values[:, :12].T) - torch.eye(12)  # the two of a pair, and those of unlike pairs
    assert correlation.abs().max() < 0.3
    between = torch.corrcoef(values[:12]) - torch.eye(12)
    assert between.abs().max() < 0.2


def test_a_key_draws_alike_in_any_batch_and_however_many():
    keys = keyed.hashed(IDS[:50], 3)
    values = keyed.normals(keys, 30)
    assert torch.equal(keyed.normals(keys[7:9], 30), values[7:9])
    assert torch.equal(keyed.normals(keys, 7), values[:, :7])

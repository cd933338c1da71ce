"""Mean: every term keeps its own count."""

import pytest
import torch

from descend.functional import Mean

VALUES, MARKS = torch.tensor([1.0, 2.0, 3.0, 6.0]), torch.tensor([True, False, False, True])


def test_sums_and_weights_keep_the_counts():
    loss = Mean.of(VALUES) + 2.0 * Mean(VALUES[MARKS].sum(), MARKS.sum()) - Mean.of(VALUES) / 3
    assert loss.value() == pytest.approx(3 + 2 * 3.5 - 1)
    assert loss.counts.tolist() == [4, 2, 4]
    torch.testing.assert_close(loss.totals, torch.tensor([12.0, 14.0, -4.0]))


def test_given_counts_take_the_place_of_its_own():
    loss = Mean.of(VALUES) + Mean(VALUES[MARKS].sum(), MARKS.sum())
    assert loss.value(torch.tensor([8.0, 7.0])) == pytest.approx(12 / 8 + 7 / 7)


def test_parts_with_global_counts_add_up_to_the_whole():
    def loss(part, marks):
        return Mean.of(part) + Mean(part[marks].sum(), marks.sum())

    counts = loss(VALUES, MARKS).counts
    parts = [loss(VALUES[i : i + 1], MARKS[i : i + 1]).value(counts) for i in range(4)]
    torch.testing.assert_close(sum(parts), loss(VALUES, MARKS).value())


@pytest.mark.parametrize("count", [0, 0.0, torch.tensor(0)])
def test_nothing_counted_is_zero_with_a_gradient(count):
    values = torch.ones(3, requires_grad=True)
    value = Mean((values * 0).sum(), count).value()
    value.backward()
    assert value == 0
    assert values.grad.tolist() == [0, 0, 0]


def test_a_weighted_mean():
    assert Mean.of(VALUES, torch.tensor([1.0, 0.0, 0.0, 3.0])).value() == pytest.approx((1 + 18) / 4)


def test_sum_works_and_numbers_are_refused():
    assert sum([Mean.of(VALUES), Mean.of(VALUES)]).value() == 6
    with pytest.raises(TypeError, match="give it a count"):
        Mean.of(VALUES) + 1.0


def test_coupled_outlives_algebra():
    assert (2 * Mean(VALUES.sum(), 4, coupled=True) + Mean.of(VALUES)).coupled
    assert not Mean.of(VALUES).coupled


def test_counts_carry_no_gradient():
    weights = torch.rand(4, requires_grad=True)
    assert not Mean(VALUES.sum() * weights.sum(), weights.sum()).counts.requires_grad
    assert "/ 4" in repr(Mean.of(VALUES))

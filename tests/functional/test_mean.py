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


def test_a_total_that_came_divided():
    loss = Mean.divided(torch.tensor(3.0), torch.tensor(4.0))
    assert loss.value() == loss.unguarded() == 3
    assert (loss.totals.tolist(), loss.counts.tolist()) == ([12], [4])
    assert loss.value(torch.tensor([8.0])) == pytest.approx(1.5)
    assert (0.5 * loss + Mean.of(VALUES)).unguarded() == pytest.approx(1.5 + 3)
    assert "12 / 4" in repr(loss)


def test_nothing_counted_and_divided_all_the_same():
    loss = Mean.divided(torch.tensor(torch.nan), torch.tensor(0.0))
    assert loss.unguarded().isnan()
    assert loss.value() == loss.totals.sum() == (loss + loss).value() == 0


def test_a_weighted_mean():
    assert Mean.of(VALUES, torch.tensor([1.0, 0.0, 0.0, 3.0])).value() == pytest.approx((1 + 18) / 4)


def test_sum_works_and_numbers_are_refused():
    assert sum([Mean.of(VALUES), Mean.of(VALUES)]).value() == 6
    with pytest.raises(TypeError, match="give it a count"):
        Mean.of(VALUES) + 1.0


def test_coupled_outlives_algebra():
    assert (2 * Mean(VALUES.sum(), 4, coupled=True) + Mean.of(VALUES)).coupled
    assert not Mean.of(VALUES).coupled


def test_a_sum_over_nothing_counted_stays_as_it_is():
    """Places that say nothing is there, where nothing is: their sum teaches, and is not made endless."""
    assert Mean(torch.tensor(0.03), torch.tensor(0)).value() == pytest.approx(0.03)


def test_counts_carry_no_gradient():
    weights = torch.rand(4, requires_grad=True)
    assert not Mean(VALUES.sum() * weights.sum(), weights.sum()).counts.requires_grad
    assert "/ 4" in repr(Mean.of(VALUES))


def test_parts_add_up_to_the_whole_with_its_gradient():
    """Ragged parts, each divided by the counts of all, give the value and the gradient of the whole batch."""
    values = torch.randn(11, dtype=torch.float64)
    boxes = torch.tensor([0, 3, 1, 0, 2, 5, 0, 1, 4, 0, 2])

    def loss(w, part):
        first = Mean.of((w * values[part]) ** 2)
        return first + 0.3 * Mean((w**3 * boxes[part] * values[part]).sum(), boxes[part].sum())

    whole = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    value = loss(whole, slice(None)).value()
    value.backward()
    split = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    parts = [loss(split, part) for part in (slice(0, 1), slice(1, 4), slice(4, 11))]
    counts = torch.stack([part.counts for part in parts]).sum(0).double()
    total = sum(part.value(counts) for part in parts)
    total.backward()
    torch.testing.assert_close(total, value)
    torch.testing.assert_close(split.grad, whole.grad)
    naive = sum(part.value() for part in parts) / 3
    assert not torch.isclose(naive, value), "the mean of means would be wrong here, so the test can tell"


def test_a_weight_is_learned_through_and_a_count_is_not():
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    weight = torch.tensor(2.0, requires_grad=True)
    (weight * Mean(x.sum(), x.sum())).value().backward()
    assert x.grad.tolist() == pytest.approx([0.5, 0.5])
    assert weight.grad.item() == pytest.approx(1)

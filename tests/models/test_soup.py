"""A soup: taught apart, averaged."""

import pytest
import torch

from descend.models import MLP, Soup


def test_members_learn_from_their_own_shares_alone():
    soup = Soup(MLP(4, 8, out=2), 3)
    x = torch.randn(7, 4)
    torch.testing.assert_close(soup(x), soup.network(x))  # all alike so far
    soup(x)[::3].sum().backward()
    assert all(parameter.grad is not None for parameter in soup.network.parameters())
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in soup.others.parameters())


def test_it_answers_by_the_mean_of_its_weights():
    soup = Soup(MLP(4, 8, out=2), 2).eval()
    other = soup.others[0]
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter))
    between = MLP(4, 8, out=2)
    between.load_state_dict({n: (v + other.state_dict()[n]) / 2 for n, v in soup.network.state_dict().items()})
    x = torch.randn(5, 4)
    torch.testing.assert_close(soup(x=x), between(x))


def test_fewer_samples_than_members_are_answered():
    soup = Soup(MLP(4, 8, out=2), 3)
    assert soup(torch.randn(2, 4)).shape == (2, 2)


def test_one_member_is_refused():
    with pytest.raises(ValueError, match="at least 2, got 1"):
        Soup(MLP(4, out=2), 1)

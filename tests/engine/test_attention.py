"""Attention as two products against torch's own, forward and gradient; what it does not take goes to torch."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from descend.engine import attention
from descend.engine.attention import Products
from descend.functional import keyed


def _three(places=5, others=7):
    draw = keyed.generator(3)
    shapes = [(2, 3, places, 8), (2, 3, others, 8), (2, 3, others, 4)]
    return [torch.randn(shape, generator=draw, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize(
    ("how", "sizes"),
    [
        ({}, (5, 7)),
        ({"is_causal": True}, (6, 6)),
        ({"scale": 0.3}, (5, 7)),
        ({}, (1, 1)),
        ({"attn_mask": torch.arange(7) < torch.tensor([7, 2]).view(2, 1, 1, 1)}, (5, 7)),
        ({"attn_mask": torch.arange(7) < torch.tensor([7, 0]).view(2, 1, 1, 1)}, (5, 7)),
        ({"attn_mask": torch.arange(7) <= torch.arange(5).view(5, 1), "scale": 0.3}, (5, 7)),
        ({"attn_mask": torch.linspace(-3, 3, 105, dtype=torch.float64).view(3, 5, 7)}, (5, 7)),
    ],
)
def test_it_is_attention(how, sizes):
    inputs = _three(*sizes)
    with Products():
        found = scaled_dot_product_attention(*inputs, **how)
    expected = scaled_dot_product_attention(*inputs, **how)
    torch.testing.assert_close(found, expected)
    assert "Bmm" in type(found.grad_fn.next_functions[0][0]).__name__
    weight = torch.randn(found.shape, generator=keyed.generator(4), dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("how", [{"attn_mask": torch.ones(5, 1, dtype=torch.bool)}, {"dropout_p": 0.0}])
def test_dropout_and_masks_of_one_column_stay_with_torch(how, monkeypatch):
    monkeypatch.setattr(attention, "attend", None)
    with Products():
        scaled_dot_product_attention(*_three(), **how)


def test_scores_that_are_too_many_stay_with_torch(monkeypatch):
    monkeypatch.setattr(attention, "MOST", 2 * 3 * 5 * 7 - 1)
    monkeypatch.setattr(attention, "attend", None)
    with Products():
        scaled_dot_product_attention(*_three())


def test_masked_products_are_captured_in_a_graph():
    mask = torch.arange(7) < torch.tensor([7, 2]).view(2, 1, 1, 1)
    inputs = _three()
    call = torch.compile(lambda *each: scaled_dot_product_attention(*each, attn_mask=mask), fullgraph=True)
    with Products():
        found = call(*inputs)
    torch.testing.assert_close(found, scaled_dot_product_attention(*inputs, attn_mask=mask))

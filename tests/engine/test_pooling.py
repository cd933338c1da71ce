"""Max pooling as comparisons against torch's own, bit by bit, forward and gradient; the rest stays with torch."""

import pytest
import torch
from torch.nn import functional

from descend.engine import pooling
from descend.engine.pooling import Pairs
from descend.functional import keyed


def _both(pooled, x):
    """What a pooling gives and the gradient of some sum of it."""
    x = x.clone().requires_grad_()
    found = pooled(x)
    weight = torch.randn(found.shape, generator=keyed.generator(4)).to(x.dtype)
    return found, *torch.autograd.grad((found * weight).sum(), x)


def _in_pairs(x, **how):
    with Pairs():
        return functional.max_pool2d(x, 2, **how)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(6, 8), (7, 5), (2, 2), (3, 2)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_its_bits_are_torchs(dtype, size, layout):
    # Whole numbers from -2 to 2: half the squares have their greatest number twice or more.
    x = torch.randint(-2, 3, (4, 3, *size), generator=keyed.generator(3)).to(dtype).contiguous(memory_format=layout)
    expected = _both(lambda x: functional.max_pool2d(x, 2), x)
    found = _both(_in_pairs, x)
    assert "Where" in type(found[0].grad_fn).__name__
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


def test_what_is_not_a_number_stays_so():
    for place in range(4):
        x = torch.zeros(1, 1, 2, 2)
        x.view(-1)[place] = torch.nan
        assert _in_pairs(x).isnan().all()


@pytest.mark.parametrize(
    ("how", "shape"),
    [
        ({"stride": 1}, (2, 3, 6, 6)),
        ({"padding": 1}, (2, 3, 6, 6)),
        ({"dilation": 2}, (2, 3, 6, 6)),
        ({"ceil_mode": True}, (2, 3, 5, 5)),
        ({"return_indices": True}, (2, 3, 6, 6)),
        ({}, (3, 6, 6)),
    ],
)
def test_other_poolings_stay_with_torch(how, shape, monkeypatch):
    monkeypatch.setattr(pooling, "pool", None)
    x = torch.randn(shape, generator=keyed.generator(3))
    found, expected = _in_pairs(x, **how), functional.max_pool2d(x, 2, **how)
    for a, b in zip(*((each,) if torch.is_tensor(each) else each for each in (found, expected)), strict=True):
        assert torch.equal(a, b)


def test_it_is_compiled_into_a_graph():
    module = torch.nn.MaxPool2d(2)
    x = torch.randint(-2, 3, (2, 3, 6, 7), generator=keyed.generator(3)).float()
    seen = []

    def backend(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    compiled = torch.compile(lambda x: module(x), fullgraph=True, backend=backend)
    with Pairs():
        found = compiled(x)
    assert torch.equal(found, module(x))
    assert any("where" in name for name in seen)
    assert not any("max_pool" in name for name in seen)

"""Every block and every model through the one harness."""

import copy
import inspect

import pytest
import torch

from descend import models
from descend import nn as blocks
from descend.engine import build, describe
from descend.functional import keyed
from tests.harness import CASES, DESCRIPTIONS

each = pytest.mark.parametrize("name", CASES)


def _made(name):
    keyed.reseed(11)
    return CASES[name].make()


def test_every_exported_class_is_in_the_harness():
    rooms = ((blocks, blocks.__all__), (models, models.__all__))
    classes = {n for room, names in rooms for n in names if inspect.isclass(getattr(room, n))}
    assert classes - {name.partition(" ")[0] for name in CASES} == DESCRIPTIONS


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shape_and_dtype(name, dtype):
    block = _made(name).to(dtype).eval()
    inputs = [x.to(dtype) if x.is_floating_point() else x for x in CASES[name].inputs(6, 1)]
    out = block(*inputs)
    assert out.shape == (6, *CASES[name].out)
    assert out.dtype == dtype
    assert out.isfinite().all()


@each
def test_a_gradient_reaches_every_parameter(name):
    block = _made(name).train()
    out = block(*CASES[name].inputs(32, 2))
    if out.requires_grad:
        (out * torch.randn(out.shape, generator=keyed.generator(3))).sum().backward()
    for path, parameter in block.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().sum() > 0, path


@each
def test_evaluation_draws_nothing_and_keeps_samples_apart(name):
    block = _made(name).eval()
    inputs = CASES[name].inputs(6, 4)
    whole = block(*inputs)
    assert torch.equal(whole, block(*inputs))
    alone = torch.cat([block(*(x[i : i + 1] for x in inputs)) for i in range(6)])
    torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-5)


@each
def test_training_couples_samples_only_where_it_says_so(name):
    case, block = CASES[name], _made(name).train()
    for module in block.modules():
        if isinstance(getattr(module, "p", None), float):
            module.p = 0.0
        if hasattr(module, "dropout"):
            module.dropout = 0.0
    inputs = case.inputs(6, 5)
    changed = [x.clone() for x in inputs]
    changed[0][3:] += 1.0
    same = torch.allclose(block(*inputs)[:3], block(*changed)[:3], rtol=1e-4, atol=1e-5)
    assert same is not case.coupled


@each
def test_state_is_saved_and_loaded(name):
    block, other = _made(name).eval(), CASES[name].make().eval()
    other.load_state_dict(copy.deepcopy(block.state_dict()))
    inputs = CASES[name].inputs(4, 6)
    assert torch.equal(block(*inputs), other(*inputs))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rebuilt])
def test_it_is_rebuilt_from_its_own_arguments(name):
    block = _made(name).eval()
    other = build(describe(block)).eval()
    assert repr(other) == repr(block)
    other.load_state_dict(block.state_dict())
    inputs = CASES[name].inputs(4, 7)
    assert torch.equal(block(*inputs), other(*inputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MLP", "LeNet", "ResNet with group norm", "TableNet", "Mirrored", "Gated"])
def test_compiled_equals_eager(name):
    block = _made(name).eval()
    inputs = CASES[name].inputs(6, 8)
    torch.testing.assert_close(torch.compile(block)(*inputs), block(*inputs), rtol=1e-4, atol=1e-5)

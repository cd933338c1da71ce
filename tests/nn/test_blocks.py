"""Every block and every model through the one harness."""

import copy
import inspect
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

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
    assert classes - {name.partition(" ")[0].rstrip(",") for name in CASES} == DESCRIPTIONS


def test_every_description_is_rebuilt_from_its_own_arguments():
    made = [
        *(blocks.Xavier(0.5), blocks.He(0.1, "fan_out"), blocks.LeCun(1.5), blocks.Orthogonal(2.0)),
        *(blocks.TruncatedNormal(0.1), blocks.BatchNorm(1, 0.2, 1e-3), blocks.LayerNorm(1e-3), blocks.GroupNorm(2)),
        *(blocks.InstanceNorm(1e-3), blocks.RMSNorm(1e-3)),
    ]
    kinds = {getattr(blocks, name) for name in blocks.__all__ if inspect.isclass(getattr(blocks, name))}
    bases = (blocks.Scheme, blocks.Norm)
    assert {type(one) for one in made} == {kind for kind in kinds if issubclass(kind, bases) and kind not in bases}
    for one in made:
        assert build(json.loads(json.dumps(describe(one)))) == one


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_dtype(name, dtype):
    block = _made(name).to(dtype).eval()
    inputs = [x.to(dtype) if x.is_floating_point() else x for x in CASES[name].inputs(6, 1)]
    before = copy.deepcopy(inputs)
    out = block(*inputs)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True)), "the caller's tensors were changed"
    assert out.shape == (6, *CASES[name].out)
    assert out.dtype == dtype
    assert out.isfinite().all()
    exact = _made(name).double().eval()(*(x.double() if x.is_floating_point() else x for x in inputs))
    torch.testing.assert_close(
        out.double(), exact, rtol=3e-2 if dtype == torch.bfloat16 else 1e-4, atol=TOLERANCE[dtype]
    )


TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9, torch.bfloat16: 0.1}


@each
@pytest.mark.parametrize("size", [1.0, 0.0])
def test_a_gradient_reaches_every_parameter_and_input(name, size):
    """Finite ones, also where all numbers are 0 (a blank picture); to every parameter that is not frozen."""
    block = _made(name).train()
    inputs = [x * size if x.is_floating_point() else x for x in CASES[name].inputs(32, 2)]
    leaves = {f"input {i}": x.requires_grad_() for i, x in enumerate(inputs) if x.is_floating_point()}
    leaves |= {n: p for n, p in block.named_parameters() if p.requires_grad}
    out = block(*inputs)
    (out * torch.randn(out.shape, generator=keyed.generator(3))).sum().backward()
    for path, leaf in leaves.items():
        assert leaf.grad is not None, path
        assert leaf.grad.isfinite().all(), path
        assert size == 0 or leaf.grad.abs().sum() > 0, path


@each
def test_evaluation_draws_nothing_and_keeps_samples_apart(name):
    block = _made(name).eval()
    inputs = CASES[name].inputs(6, 4)
    state = copy.deepcopy(block.state_dict())
    whole = block(*inputs)
    assert torch.equal(whole, block(*inputs))
    assert all(torch.equal(value, state[path]) for path, value in block.state_dict().items()), "evaluation learned"
    alone = torch.cat([block(*(x[i : i + 1] for x in inputs)) for i in range(6)])
    torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-5)


@each
def test_training_couples_samples_only_where_it_says_so(name):
    case, block = CASES[name], _certain(_made(name).train())
    inputs = case.inputs(6, 5)
    changed = [x.clone() for x in inputs]
    changed[0][3:] += 1
    same = torch.allclose(block(*inputs)[:3], block(*changed)[:3], rtol=1e-4, atol=1e-5)
    assert same is not case.coupled


@each
def test_training_draws_only_where_it_says_so(name):
    """By torch's own generator: the same numbers after the same seed."""
    case, block = CASES[name], _made(name).train()
    inputs = case.inputs(6, 9)

    def drawn(seed):
        keyed.reseed(seed)
        return block(*inputs)

    assert torch.equal(drawn(1), drawn(1))
    assert torch.equal(drawn(1), drawn(2)) is not case.random


@each
def test_state_is_saved_and_loaded(name, tmp_path):
    """All of it, by one name a tensor; batch statistics that training gathered, too."""
    block, other = _made(name).train(), CASES[name].make().eval()
    block(*CASES[name].inputs(6, 5))
    state = block.eval().state_dict()
    places = [value.data_ptr() for value in state.values()]
    assert len(places) == len(set(places)) + CASES[name].tied, "a tensor goes by two names"
    save_file({path: value.clone().contiguous() for path, value in state.items()}, tmp_path / "state.safetensors")
    other.load_state_dict(load_file(tmp_path / "state.safetensors"))
    inputs = CASES[name].inputs(4, 6)
    assert torch.equal(block(*inputs), other(*inputs))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rebuilt])
def test_it_is_rebuilt_from_its_own_arguments(name):
    block = _made(name).eval()
    other = build(json.loads(json.dumps(describe(block)))).eval()
    assert repr(other) == repr(block)
    other.load_state_dict(block.state_dict())
    inputs = CASES[name].inputs(4, 7)
    assert torch.equal(block(*inputs), other(*inputs))


def _compiled(name, backend, certain=False):
    """Forward and gradients of the block in training, compiled as one graph, against itself."""
    from torch._dynamo import lookup_backend, reset  # slow to import, and most tests do without

    reset()
    compiler = lookup_backend(backend)
    block, inputs = _made(name).train(), CASES[name].inputs(6, 8)
    block = _certain(block) if certain else block
    captured = []

    def count(graph, examples):
        captured.append(graph)
        return compiler(graph, examples)

    call = torch.compile(lambda *inputs: block(*inputs), backend=count, fullgraph=True)
    found = []
    for run in (call, block):
        block.zero_grad()
        keyed.reseed(12)
        out = run(*inputs)
        if out.requires_grad:
            (out * torch.randn(out.shape, generator=keyed.generator(3))).sum().backward()
        found.append([out, *(p.grad.clone() for p in block.parameters() if p.grad is not None)])
    assert len(captured) == 1, "nothing was compiled"
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.traced])
def test_it_is_compiled_as_one_graph(name):
    """Traced, forward and backward, and run as traced; without the C++ compiler, so quickly."""
    _compiled(name, "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Gated", "RMSNorm", "MLP with gates", "LeNet", "ResNet with group norm", "TableNet"])
def test_compiled_code_equals_eager(name):
    """Numbers drawn inside compiled code are not eager's, so nothing is dropped here."""
    _compiled(name, "inductor", certain=True)


def _certain(block):
    """Dropout that leaves nothing out."""
    for module in block.modules():
        if isinstance(getattr(module, "p", None), float):
            module.p = 0.0
        if hasattr(module, "dropout"):
            module.dropout = 0.0
    return block

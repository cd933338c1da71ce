"""Activations, norms, dropout and initialisation against formulas in float64, forward and gradient."""

import math

import pytest
import torch
from torch import nn

from descend.functional import keyed
from descend.nn import (
    ELU,
    GELU,
    SELU,
    BatchNorm,
    DropPath,
    GroupNorm,
    He,
    InstanceNorm,
    LayerNorm,
    LeakyReLU,
    LeCun,
    Mish,
    Orthogonal,
    PReLU,
    ReLU,
    RMSNorm,
    Sigmoid,
    SiLU,
    Softmax,
    SquaredReLU,
    Tanh,
    TruncatedNormal,
    Xavier,
    each,
    fitting,
    geglu,
    glu,
    initialise,
    reglu,
    swiglu,
)

X = torch.randn(9, 8, generator=keyed.generator(1), dtype=torch.float64)


def _phi(x):
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def _half(x):
    return x[:, :4], x[:, 4:]


FORMULAS = {
    "sigmoid": (Sigmoid(), lambda x: 1 / (1 + torch.exp(-x))),
    "tanh": (Tanh(), lambda x: (torch.exp(2 * x) - 1) / (torch.exp(2 * x) + 1)),
    "softmax": (Softmax(-1), lambda x: torch.exp(x) / torch.exp(x).sum(-1, keepdim=True)),
    "relu": (ReLU(), lambda x: x * (x > 0)),
    "leaky": (LeakyReLU(0.1), lambda x: torch.where(x > 0, x, 0.1 * x)),
    "prelu": (PReLU(init=0.3), lambda x: torch.where(x > 0, x, 0.3 * x)),
    "elu": (ELU(), lambda x: torch.where(x > 0, x, torch.exp(x) - 1)),
    "selu": (SELU(), lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (torch.exp(x) - 1))),
    "gelu": (GELU(), lambda x: x * _phi(x)),
    "silu": (SiLU(), lambda x: x / (1 + torch.exp(-x))),
    "mish": (Mish(), lambda x: x * torch.tanh(torch.log(1 + torch.exp(x)))),
    "relu²": (SquaredReLU(), lambda x: x**2 * (x > 0)),
    "glu": (glu(), lambda x: _half(x)[0] / (1 + torch.exp(-_half(x)[1]))),
    "reglu": (reglu(), lambda x: _half(x)[0] * _half(x)[1] * (_half(x)[1] > 0)),
    "geglu": (geglu(), lambda x: _half(x)[0] * _half(x)[1] * _phi(_half(x)[1])),
    "swiglu": (swiglu(), lambda x: _half(x)[0] * _half(x)[1] / (1 + torch.exp(-_half(x)[1]))),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_activation(name):
    block, formula = FORMULAS[name]
    block = block.double()
    one, other = X.clone().requires_grad_(), X.clone().requires_grad_()
    out, expected = block(one), formula(other)
    torch.testing.assert_close(out, expected)
    weight = torch.randn(out.shape, generator=keyed.generator(2), dtype=torch.float64)
    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(one.grad, other.grad)


def _standard(x, axes, eps):
    mean = x.mean(axes, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(axes, keepdim=True) + eps).sqrt()


PICTURE = torch.randn(5, 6, 4, 3, generator=keyed.generator(3), dtype=torch.float64)
NORMS = {
    "batch": (BatchNorm(), lambda x: _standard(x, (0, 2, 3), 1e-5)),
    "group": (GroupNorm(3), lambda x: _standard(x.view(5, 3, -1), -1, 1e-5).view_as(x)),
    "instance": (InstanceNorm(), lambda x: _standard(x, (2, 3), 1e-5)),
}


@pytest.mark.parametrize("name", NORMS)
def test_norm_of_pictures(name):
    norm, formula = NORMS[name]
    block = norm(6).double().train()
    with torch.no_grad():
        block.weight.copy_(torch.linspace(0.5, 2, 6))
        block.bias.copy_(torch.linspace(-1, 1, 6))
    expected = formula(PICTURE) * block.weight.view(-1, 1, 1) + block.bias.view(-1, 1, 1)
    torch.testing.assert_close(block(PICTURE), expected)


def test_norm_of_the_last_axis():
    torch.testing.assert_close(LayerNorm()(8).double()(X), _standard(X, -1, 1e-5))
    torch.testing.assert_close(RMSNorm()(8).double()(X), X / (X.square().mean(-1, keepdim=True) + 1e-6).sqrt())


def test_a_group_norm_takes_the_groups_that_divide():
    assert GroupNorm(8)(12).num_groups == 6
    assert GroupNorm(8)(3).num_groups == 3


def test_drop_path_leaves_out_whole_samples_and_keeps_the_mean():
    out = DropPath(0.25).train()(torch.ones(4000, 3))
    assert out.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(out[:, 0], out[:, 2])
    assert out.mean().item() == pytest.approx(1, abs=0.03)
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\)"):
        DropPath(1.0)


@pytest.mark.parametrize(
    ("scheme", "variance"),
    [
        (Xavier(), 2 / (300 + 200)),
        (He(), 2 / 200),
        (He(fan="fan_out"), 2 / 300),
        (He(slope=0.5), 2 / 1.25 / 200),
        (LeCun(), 1 / 200),
        (TruncatedNormal(0.1), 0.774 * 0.01),
    ],
)
def test_the_variance_of_a_scheme(scheme, variance):
    weight = torch.empty(300, 200)
    scheme(weight)
    assert weight.var().item() == pytest.approx(variance, rel=0.03)
    assert weight.mean().abs().item() < 3e-3


def test_orthogonal():
    weight = torch.empty(20, 50)
    Orthogonal(2.0)(weight)
    torch.testing.assert_close(weight @ weight.T, 4 * torch.eye(20), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(0.2), PReLU(), SELU(), Tanh()], ids=repr)
def test_the_fitting_scheme_keeps_the_signal_alive(activation):
    """Through 20 layers of 400, the signal's size stays within a factor of 3; LeCun's scheme loses a ReLU's."""
    network = nn.Sequential(*(nn.Sequential(nn.Linear(400, 400), activation) for _ in range(20)))
    x = torch.randn(200, 400, generator=keyed.generator(4))
    initialise(network, fitting(activation))
    size = network(x).square().mean().sqrt().item()
    assert 1 / 3 < size < 3
    if isinstance(activation, ReLU):
        initialise(network, LeCun())
        assert network(x).square().mean().sqrt().item() < 0.01


def test_an_activation_with_parameters_is_made_anew():
    prelu, relu = PReLU(), ReLU()
    assert each(prelu) is not prelu
    assert each(relu) is relu

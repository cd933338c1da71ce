"""Which scheme goes with which activation, measured: the signal keeps its size."""

import math

import pytest
import torch
from torch import nn

from descend.functional import keyed
from descend.nn import (
    ELU,
    GELU,
    SELU,
    He,
    LeakyReLU,
    LeCun,
    LinearBlock,
    Mish,
    PReLU,
    ReLU,
    Scheme,
    Sigmoid,
    SiLU,
    Softmax,
    SquaredReLU,
    Tanh,
    Xavier,
    each,
    fitting,
    gain,
    geglu,
    glu,
    initialise,
    initialise_head,
    reglu,
    swiglu,
)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (ReLU(), math.sqrt(2)),
        (LeakyReLU(0.2), math.sqrt(2 / 1.04)),
        (SELU(), 1.0),
        (SquaredReLU(), (2 / 3) ** 0.25),
        (nn.Identity(), 1.0),
        (reglu(), 2**0.25),
        (nn.Hardtanh(), 1 / math.sqrt(1 - 2 * 0.24197072)),
    ],
    ids=repr,
)
def test_the_measured_gain_is_the_known_one(activation, expected):
    """He et al. 2015, Klambauer et al. 2017; E[relu(z)⁴] = 3/2; and one that is bounded by 1:
    E[f²] = P(|z| < 1) - 2·φ(1) + P(|z| > 1) = 1 - 2·φ(1)."""
    assert gain(activation) == pytest.approx(expected, rel=1e-5)


def test_a_gain_is_measured_on_a_copy():
    slope = PReLU()
    gain(slope)
    assert slope.weight.dtype == torch.float32
    assert slope.weight.grad is None


@pytest.mark.parametrize(
    ("activation", "scheme"),
    [
        (ReLU(), He()),
        (LeakyReLU(0.2), He(0.2)),
        (PReLU(init=0.3), He(0.3)),
        (Tanh(), Xavier(5 / 3)),
        (Sigmoid(), Xavier()),
        (Softmax(-1), Xavier()),
        (SELU(), LeCun()),
    ],
    ids=repr,
)
def test_the_table(activation, scheme):
    assert fitting(activation) == scheme


@pytest.mark.parametrize(
    "activation",
    [ReLU(), LeakyReLU(0.3), PReLU(), ELU(), SELU(), GELU(), SiLU(), Mish(), SquaredReLU()],
    ids=repr,
)
def test_a_layer_keeps_the_size_of_its_signal(activation):
    """A signal of size 1 leaves a wide layer with size 1."""
    assert _size(nn.Sequential(nn.Linear(1500, 1500), activation), activation) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("gate", [glu(), reglu(), geglu(), swiglu()], ids=["glu", "reglu", "geglu", "swiglu"])
def test_a_gated_layer_keeps_the_size_of_its_signal(gate):
    assert _size(LinearBlock(1500, 1500, gate), gate) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("activation", [GELU(), SiLU(), Mish(), ELU()], ids=repr)
def test_a_few_layers_neither_starve_nor_burst_the_signal(activation):
    """Six of them; He's scheme, which is made for ReLU, starves a SiLU to less than half."""
    network = nn.Sequential(*(nn.Sequential(nn.Linear(500, 500), activation) for _ in range(6)))
    assert 0.6 < _size(network, activation) < 1.7
    if isinstance(activation, SiLU):
        initialise(network, He())
        x = torch.randn(200, 500, generator=keyed.generator(1))
        with torch.no_grad():
            assert network(x).square().mean().sqrt() < 0.45


def _size(network: nn.Module, activation: nn.Module) -> float:
    initialise(network, fitting(activation))
    features = next(network.parameters()).shape[1]
    with torch.no_grad():
        return network(torch.randn(200, features, generator=keyed.generator(1))).square().mean().sqrt().item()


class Sevens(Scheme):
    def __call__(self, weight):
        nn.init.constant_(weight, 7.0)


def test_initialise_reaches_maps_alone_and_sets_their_biases_to_0():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5), nn.Embedding(3, 2))
    table = network[4].weight.clone()
    initialise(network, Sevens())
    assert all((network[i].weight == 7).all() and (network[i].bias == 0).all() for i in (0, 3))
    assert (network[1].weight == 1).all()
    assert torch.equal(network[4].weight, table)


def test_a_head_begins_small():
    head = nn.Linear(300, 1000)
    initialise_head(head)
    assert head.weight.var().item() == pytest.approx(1 / 900, rel=0.02)
    assert head.weight.abs().max() <= 1 / math.sqrt(300)
    assert head.bias.abs().sum() == 0


def test_what_keeps_numbers_is_made_anew():
    """Parameters, and buffers too."""

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(1))

    for keeping in (PReLU(), Counting()):
        copy = each(keeping)
        assert copy is not keeping
        assert all(
            one.data_ptr() != other.data_ptr()
            for one, other in zip(copy.state_dict().values(), keeping.state_dict().values(), strict=True)
        )
    relu = ReLU()
    assert each(relu) is relu

"""Recurrence: the papers' equations and torch's kernels give the same numbers, forward and gradient."""

import math

import pytest
import torch
from torch import nn

from descend.functional import keyed
from descend.nn import GRU, LSTM, Elman, Recurrent

CELLS = [Elman(), LSTM(), GRU()]


def draw(*shape, key=0):
    return torch.randn(*shape, generator=keyed.generator(key), dtype=torch.float64)


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("both", [False, True])
def test_equations_and_kernels_agree(cell, both):
    keyed.reseed(0)
    model = Recurrent(cell, 5, 4, layers=2, both=both).double()
    x = draw(3, 6, 5).requires_grad_()
    state = tuple(draw(4 if both else 2, 3, 4, key=part + 1) for part in range(cell.parts))
    for begin in (None, state):
        (y, end), (expected, last) = model(x, begin), model.unrolled(x, begin)
        torch.testing.assert_close(y, expected)
        for one, other in zip(end, last, strict=True):
            torch.testing.assert_close(one, other)
        leaves = [x, *model.parameters()]
        weight = draw(*y.shape, key=9)
        found = [torch.autograd.grad((out * weight).sum(), leaves) for out in (y, expected)]
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)


def test_cells_are_the_papers():
    """One step by hand: Elman 1990; Hochreiter and Schmidhuber 1997 with forget gates; Cho et al. 2014."""
    x, h, before, cell = draw(2, 3), draw(2, 3, key=1), draw(2, 3, key=2), draw(2, 3, key=3)
    (new,) = Elman().step(x, h, (before,))
    torch.testing.assert_close(new, torch.tanh(x + h))
    four, carried = draw(2, 12, key=4), draw(2, 12, key=5)
    i, f, g, o = ((four + carried)[:, 3 * n : 3 * n + 3] for n in range(4))
    new, kept = LSTM().step(four, carried, (before, cell))
    expected = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    torch.testing.assert_close(kept, expected)
    torch.testing.assert_close(new, torch.sigmoid(o) * torch.tanh(expected))
    three, carried = draw(2, 9, key=6), draw(2, 9, key=7)
    r, z = (torch.sigmoid(three[:, 3 * n : 3 * n + 3] + carried[:, 3 * n : 3 * n + 3]) for n in range(2))
    n = torch.tanh(three[:, 6:] + r * carried[:, 6:])
    (new,) = GRU().step(three, carried, (before,))
    torch.testing.assert_close(new, (1 - z) * n + z * before)


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("both", [False, True])
def test_what_is_behind_a_sequence_is_not_read(cell, both):
    keyed.reseed(0)
    model = Recurrent(cell, 5, 4, layers=2, both=both).double()
    x, lengths = draw(3, 6, 5), torch.tensor([6, 2, 4])
    y, end = model(x, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, last = model(x[row : row + 1, :length])
        torch.testing.assert_close(y[row : row + 1, :length], alone)
        assert (y[row, length:] == 0).all()
        for one, other in zip(end, last, strict=True):
            torch.testing.assert_close(one[:, row : row + 1], other)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_sequence_in_pieces_is_the_sequence(cell):
    model = Recurrent(cell, 5, 4, layers=2).double()
    x = draw(2, 7, 5)
    whole, end = model(x)
    first, state = model(x[:, :3])
    rest, last = model(x[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)
    for one, other in zip(end, last, strict=True):
        torch.testing.assert_close(one, other)


def test_states_keep_their_size_and_forget_gates_begin_open():
    keyed.reseed(0)
    model = Recurrent(LSTM(), 5, 8)
    for gate in model.kernel.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), rtol=1e-5, atol=1e-5)
    assert model.kernel.bias_ih_l0[8:16].tolist() == [1.0] * 8
    assert model.kernel.bias_ih_l0[:8].abs().sum() + model.kernel.bias_hh_l0.abs().sum() == 0


def test_second_derivatives_go_through_the_equations():
    model = Recurrent(GRU(), 3, 4).double()
    x = draw(1, 4, 3).requires_grad_()
    (slope,) = torch.autograd.grad(model.unrolled(x)[0].sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), x)
    assert second.abs().sum() > 0
    assert isinstance(model.kernel, nn.GRU)


@pytest.mark.parametrize(("cell", "share"), [(LSTM(100), 0.5), (GRU(100), 0.5), (LSTM(), 0.0), (GRU(), 0.0)])
def test_gates_may_begin_open_for_long(cell, share):
    """Of half the numbers in a state, 1/e is left after half of the steps that they may last."""
    model = Recurrent(cell, 2, 256)
    nn.init.zeros_(model.kernel.weight_hh_l0)
    start = (torch.full((1, 1, 256), 0.5),) * cell.parts
    state = model(torch.zeros(1, 50, 2), start)[1][-1]
    assert float((state > 0.5 / math.e).float().mean()) == pytest.approx(share, abs=0.1)

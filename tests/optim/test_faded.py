"""Moments of what has died fade to nothing, and nothing else changes."""

import copy

import pytest
import torch
from torch import nn

from descend.data import Batch
from descend.engine import Descent
from descend.losses import mse
from descend.optim import SGD, AdamW, Muon, faded

STEPS = 2500
"""Until a momentum of 0.95 that began at 1 is below float32's smallest ordinary number: 0.95^1,700 = 10⁻³⁸."""


def _trained(optimizer, monkeypatch, forgets):
    """A network one of whose inputs is there for ten steps; and what its descent remembers."""
    if not forgets:
        monkeypatch.setattr(faded, "forget", lambda optimizer: None)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    descent = Descent(model, optimizer)
    x, target = torch.randn(16, 4), torch.randn(16, 2)
    for step in range(STEPS):
        if step == 10:
            x[:, 0] = 0
        descent(lambda batch: mse(model(batch["x"]), batch["target"]), Batch(x=x, target=target))
    return model, descent.moving.optimizer.state[model[0].weight]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [SGD(0.01, momentum=0.9), AdamW(1e-3, betas=(0.9, 0.99)), Muon(1e-3)])
def test_moments_of_a_dead_input_become_nothing(optimizer, monkeypatch):
    _, state = _trained(optimizer, monkeypatch, forgets=True)
    moments = [moment for moment in state.values() if moment is not None and moment.ndim == 2]
    assert moments
    for moment in moments:
        assert (moment[:, 0] == 0).all() or (moment[:, 0] > faded.FADED).all()
        assert (moment[:, 1:] != 0).all(), "the living keep theirs"


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [SGD(0.01, momentum=0.9), AdamW(1e-3)])
def test_no_weight_moves_otherwise(optimizer, monkeypatch):
    with monkeypatch.context() as never:
        plain, before = _trained(optimizer, never, forgets=False)
    assert any(
        ((m[:, 0] != 0) & (m[:, 0].abs() < 1e-38)).any() for m in before.values() if m is not None and m.ndim == 2
    )
    model, _ = _trained(optimizer, monkeypatch, forgets=True)
    for left, right in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(left, right)


def test_forgetting_spares_what_is_no_moment():
    parameter = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    parameter.grad = torch.tensor([1.0, 1e-20, 0.0])
    optimizer.step()
    before = copy.deepcopy(optimizer.state_dict()["state"][0])
    faded.forget(optimizer)
    state = optimizer.state_dict()["state"][0]
    assert state["step"] == before["step"] == 1
    assert torch.equal(state["exp_avg"], before["exp_avg"])
    assert state["exp_avg_sq"].tolist() == [before["exp_avg_sq"][0].item(), 0.0, 0.0]

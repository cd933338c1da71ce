"""Rates by depth: what stands near the input moves less, and later."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from descend.data import Batch
from descend.engine import Clock, Compute, Descent, Ranks
from descend.functional import Mean, keyed
from descend.optim import SGD, AdamW, Muon, Rates, named


def network(layers=6):
    keyed.reseed(0)
    return nn.Sequential(*[nn.Linear(4, 4) for _ in range(layers)])


def test_rates_grow_with_depth():
    built = SGD(0.1, rates=Rates(0.01, stages=3)).build(named({"": network()}))
    rate = {id(p): group["base_lr"] for group in built.param_groups for p in group["params"]}
    model_rates = [group["base_lr"] for group in built.param_groups]
    assert sorted({round(r, 6) for r in model_rates}) == [0.001, 0.01, 0.1]
    assert len(rate) == 12


@pytest.mark.parametrize(
    "optimizer", [AdamW(0.1, weight_decay=0.1), Muon(0.1, weight_decay=0.1), SGD(0.1, momentum=0.9)]
)
def test_layers_begin_to_move_one_after_the_other(optimizer):
    model = network()
    descent = Descent(model, replace(optimizer, rates=Rates(0.5, unfreeze=0.5, stages=3)))
    clock = Clock(0, 0, 10)
    descent.attach(Compute("cpu").settled(), Ranks(), clock)
    batch = Batch(x=torch.randn(8, 4, generator=keyed.generator(1)))
    moved = []
    for step in range(10):
        clock.step = step
        before = [p.detach().clone() for p in model.parameters()]
        descent(lambda b: Mean.of(model(b["x"]).square().sum(1)), batch)
        changed = [not torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True)]
        assert changed[0::2] == changed[1::2]  # a layer's weight and bias
        moved.append(changed[0::2])
    first = [next(step for step in range(10) if moved[step][layer]) for layer in range(6)]
    assert first == [5, 5, 3, 3, 0, 0]


@pytest.mark.parametrize("wrong", [{"lowest": 0.0}, {"lowest": 2.0}, {"unfreeze": 1.0}, {"stages": 1}])
def test_rates_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="give lowest in"):
        Rates(**wrong)


@pytest.mark.parametrize(("layers", "expected"), [(1, [0.1]), (2, [0.001, 0.1]), (4, [0.001, 0.1])])
def test_the_last_layer_has_the_whole_rate_in_any_network(layers, expected):
    built = SGD(0.1, rates=Rates(0.01, unfreeze=0.5)).build(named({"": network(layers)}))
    rates = sorted(group["base_lr"] for group in built.param_groups)
    assert [round(rate, 6) for rate in (rates[:1] if layers == 1 else [rates[0], rates[-1]])] == expected
    assert min(group["begin"] for group in built.param_groups) == 0

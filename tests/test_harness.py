"""The harness finds what it is there to find: a planted fault fails the check that is meant for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.harness import CASES, Case, normal
from tests.nn import test_blocks as checks


class Sound(nn.Module):
    """No fault at all."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7))

    def forward(self, x: Tensor) -> Tensor:
        return self.bent(x * self.weight)

    def bent(self, y: Tensor) -> Tensor:
        return y


class Float(Sound):
    def bent(self, y):
        return y.float()


class Changing(Sound):
    def forward(self, x):
        return self.bent(x.mul_(2) * self.weight)


class Dead(Sound):
    """A parameter that nothing reads."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(7))


class Cut(Sound):
    def bent(self, y):
        return y.detach() + 0 * y


class Blank(Sound):
    """A norm without ε: the gradient at 0 is no number."""

    def bent(self, y):
        return y / y.square().sum(-1, keepdim=True).sqrt()


class Mixing(Sound):
    def bent(self, y):
        return y - y.mean(0)


class Coupling(Sound):
    def bent(self, y):
        return y - y.mean(0) if self.training else y


class Drawing(Sound):
    """Dropout that no one switched off."""

    def bent(self, y):
        return functional.dropout(y, 0.5)


class Learning(Sound):
    """Running statistics that also run in evaluation."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(7))

    def bent(self, y):
        self.mean.lerp_(y.detach().mean(0).to(self.mean.dtype), 0.1)
        return y


class Dropping(Sound):
    def bent(self, y):
        return functional.dropout(y, 0.5, self.training)


class Forgetting(Sound):
    """A tensor that the state does not hold."""

    def __init__(self):
        super().__init__()
        self.shift = torch.randn(7)

    def bent(self, y):
        return y + self.shift.to(y.dtype)


class Twice(Sound):
    """A template registered beside the layer that was to copy it."""

    def __init__(self):
        super().__init__()
        self.template = nn.PReLU()
        self.used = self.template

    def bent(self, y):
        return self.used(y)


class Untraced(Sound):
    """Asks for a number in the middle of the graph."""

    def bent(self, y):
        return y * 2 if y.sum().item() > 0 else y * 3


class Otherwise(Sound):
    def bent(self, y):
        return y + 1 if torch.compiler.is_compiling() else y


CHECKS = {
    "dtype": lambda _: [checks.test_shape_and_dtype("planted", d) for d in (torch.float64, torch.bfloat16)],
    "gradient": lambda _: checks.test_a_gradient_reaches_every_parameter_and_input("planted", 1.0),
    "blank": lambda _: checks.test_a_gradient_reaches_every_parameter_and_input("planted", 0.0),
    "evaluation": lambda _: checks.test_evaluation_draws_nothing_and_keeps_samples_apart("planted"),
    "coupled": lambda _: checks.test_training_couples_samples_only_where_it_says_so("planted"),
    "random": lambda _: checks.test_training_draws_only_where_it_says_so("planted"),
    "state": lambda path: checks.test_state_is_saved_and_loaded("planted", path),
    "graph": lambda _: checks.test_it_is_compiled_as_one_graph("planted"),
}
FAULTS = [
    (Sound, set()),
    (Float, {"dtype"}),
    (Changing, {"dtype"}),
    (Dead, {"gradient"}),
    (Cut, {"gradient"}),
    (Blank, {"blank"}),
    (Mixing, {"evaluation", "coupled"}),
    (Coupling, {"coupled"}),
    (Drawing, {"evaluation", "random"}),
    (Learning, {"evaluation"}),
    (Dropping, {"random"}),
    (Forgetting, {"state"}),
    (Twice, {"state"}),
    (Untraced, {"graph"}),
    (Otherwise, {"graph"}),
]


@pytest.mark.parametrize(("block", "found"), FAULTS, ids=[block.__name__ for block, _ in FAULTS])
def test_a_planted_fault_is_found_compiled_or_not(block, found, monkeypatch, tmp_path):
    monkeypatch.setitem(CASES, "planted", Case(block, normal(7), (7,)))
    failed = {name for name, check in CHECKS.items() if _fails(check, tmp_path)}
    assert found <= failed, f"only {failed or 'nothing'} failed"
    if not found:
        assert not failed


def test_a_declaration_that_does_not_hold_is_found(monkeypatch):
    """What is said to be coupled or random must be: a block cannot talk itself out of a check."""
    monkeypatch.setitem(CASES, "planted", Case(Sound, normal(7), (7,), coupled=True, random=True))
    with pytest.raises(AssertionError):
        checks.test_training_couples_samples_only_where_it_says_so("planted")
    with pytest.raises(AssertionError):
        checks.test_training_draws_only_where_it_says_so("planted")


@pytest.mark.parametrize("name", ["ReLU", "ConvBlock", "MLP"])
def test_a_block_that_is_not_listed_is_found(name, monkeypatch):
    for case in [case for case in CASES if case.partition(" ")[0] == name]:
        monkeypatch.delitem(CASES, case)
    with pytest.raises(AssertionError):
        checks.test_every_exported_class_is_in_the_harness()


def _fails(check, path) -> bool:
    from torch._dynamo.exc import TorchDynamoException

    try:
        check(path)
    except (AssertionError, RuntimeError, TorchDynamoException):
        return True
    return False

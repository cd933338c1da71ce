"""Every description against torch's optimizer, or the paper's formula, on the same random problem."""

import copy

import pytest
import torch
from torch import nn

from descend.models import GPT, AnchoredQueries, LearnedQueries, Untied
from descend.nn import Rotary
from descend.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Constant,  # noqa: F401  repr names it
    Cosine,
    Direct,
    Lion,
    Muon,
    NAdam,
    Optimizer,
    Plain,  # noqa: F401
    RMSprop,
    named,
)
from descend.optim.muon import orthogonalised


class Net(nn.Module):
    """One parameter of every kind that decay and Muon tell apart."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.position = nn.Parameter(torch.randn(1, 4, 6))
        self.filters = nn.Conv1d(6, 5, 3)
        self.norm = nn.LayerNorm((5, 2))
        self.inner = nn.Linear(10, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, ids):
        x = (self.table(ids) + self.position).mT
        x = self.norm(self.filters(x).tanh())
        return self.head(self.inner(x.flatten(1)).tanh())


def descend(model, optimizer, steps=5):
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        ids = torch.randint(7, (16, 4), generator=generator)
        loss = model(ids).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def assert_same(ours, theirs):
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")


TORCH = {
    SGD(0.1): lambda p: torch.optim.SGD(p, 0.1),
    SGD(0.1, momentum=0.9, weight_decay=0.1, decay_all=True): lambda p: torch.optim.SGD(
        p, 0.1, momentum=0.9, weight_decay=0.1
    ),
    SGD(0.1, momentum=0.9, nesterov=True): lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    RMSprop(1e-2, alpha=0.9, momentum=0.5): lambda p: torch.optim.RMSprop(p, 1e-2, alpha=0.9, momentum=0.5),
    RMSprop(1e-2, centered=True): lambda p: torch.optim.RMSprop(p, 1e-2, centered=True),
    Adam(1e-2, betas=(0.8, 0.9)): lambda p: torch.optim.Adam(p, 1e-2, betas=(0.8, 0.9)),
    AdamW(1e-2, weight_decay=0.1, decay_all=True): lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1),
    NAdam(1e-2, weight_decay=0.1, decay_all=True): lambda p: torch.optim.NAdam(
        p, 1e-2, weight_decay=0.1, decoupled_weight_decay=True
    ),
    Adagrad(0.1): lambda p: torch.optim.Adagrad(p, 0.1),
    Adadelta(1.0): lambda p: torch.optim.Adadelta(p, 1.0),
}


@pytest.mark.parametrize("ours", TORCH, ids=repr)
def test_equals_torch_after_five_steps(ours):
    net = Net()
    twin = copy.deepcopy(net)
    descend(net, ours.build(named({"": net})))
    descend(twin, TORCH[ours](twin.parameters()))
    assert_same(net, twin)


def test_lion_is_the_papers_algorithm():
    net = Net()
    twin = copy.deepcopy(net).double()
    lr, (first, second), decay = 1e-2, (0.9, 0.99), 0.1
    optimizer = Lion(lr, betas=(first, second), weight_decay=decay, decay_all=True).build(named({"": net}))
    momenta = [torch.zeros_like(p) for p in twin.parameters()]
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        for p, q, m in zip(net.parameters(), twin.parameters(), momenta, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            g = p.grad.double()
            c = first * m + (1 - first) * g
            q.data -= lr * (c.sign() + decay * q.data)
            m.copy_(second * m + (1 - second) * g)
        optimizer.step()
    assert_same(net.double(), twin)


ALL = [SGD(momentum=0.9), Adam(), AdamW(), NAdam(), RMSprop(), Adagrad(), Adadelta(), Lion(), Muon()]


@pytest.mark.parametrize("description", ALL, ids=lambda d: type(d).__name__)
class TestEvery:
    def test_a_restored_one_goes_on_with_the_same_bits(self, description: Optimizer):
        net = Net()
        optimizer = description.build(named({"": net}))
        descend(net, optimizer, 2)
        twin = copy.deepcopy(net)
        restored = description.build(named({"": twin}))
        restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        descend(net, optimizer, 3)
        descend(twin, restored, 3)
        assert all(torch.equal(p, q) for p, q in zip(net.parameters(), twin.parameters(), strict=True))

    def test_some_gradients_may_come_later_than_others(self, description: Optimizer):
        net = Net()
        optimizer = description.build(named({"": net}))
        before = net.inner.weight.detach().clone()
        net.head.weight.grad = torch.ones_like(net.head.weight)
        optimizer.step()
        assert torch.equal(net.inner.weight, before)
        descend(net, optimizer, 1)
        assert not torch.equal(net.inner.weight, before)

    def test_every_group_knows_its_base_rate(self, description: Optimizer):
        groups = description.build(named({"": Net()})).param_groups
        rest = getattr(description, "rest_lr", description.lr)
        assert [group["base_lr"] for group in groups] == [group["lr"] for group in groups]
        assert {group["base_lr"] for group in groups} == {description.lr, rest}

    def test_a_transposed_gradient_is_not_read_crosswise(self, description: Optimizer):
        """torch's fused CPU kernels ignore strides."""
        net, twin = Net(), Net()
        twin.load_state_dict(net.state_dict())
        generator = torch.Generator().manual_seed(0)
        gradient = torch.randn(10, 8, generator=generator).mT
        for model, given in ((net, gradient), (twin, gradient.contiguous())):
            optimizer = description.build(named({"": model}))
            model.inner.weight.grad = given
            optimizer.step()
        assert torch.equal(net.inner.weight, twin.inner.weight)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW, NAdam, RMSprop, Adagrad, Adadelta, Lion, Muon])
def test_decay_alone_moves_matrices_alone(kind):
    """The gradient is zero, so nothing but decay moves anything."""
    net = Net()
    twin = copy.deepcopy(net)
    optimizer = kind(0.1, weight_decay=0.5).build(named({"": net}))
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    moved = {n for (n, p), q in zip(net.named_parameters(), twin.parameters(), strict=True) if not torch.equal(p, q)}
    assert moved == {"position", "filters.weight", "inner.weight", "head.weight"}


@pytest.mark.parametrize("description", [SGD(weight_decay=0.1), AdamW(), Lion(weight_decay=0.1)], ids=repr)
def test_norms_biases_and_embeddings_do_not_decay_unless_asked(description):
    net = Net()
    names = {id(p): n for n, p in net.named_parameters()}
    groups = description.build(named({"": net})).param_groups
    held = {group["weight_decay"]: {names[id(p)] for p in group["params"]} for group in groups}
    decay = description.weight_decay
    assert held[decay] == {"position", "filters.weight", "inner.weight", "head.weight"}
    assert held[0.0] == set(names.values()) - held[decay]
    asked = type(description)(0.1, weight_decay=0.1, decay_all=True).build(named({"": net})).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in asked] == [(len(names), 0.1)]


def test_fused_where_torch_has_it():
    own = named({"": Net()})
    fused = {type(d).__name__: [bool(g.get("fused")) for g in d.build(own).param_groups] for d in ALL}
    yes = {name for name, groups in fused.items() if all(groups)}
    assert yes == {"SGD", "Adam", "AdamW", "Adagrad"}
    assert fused["Muon"] == [False, True]


class TestNamed:
    def test_names_are_paths_behind_their_roots_key(self):
        pair = named({"a": nn.Linear(2, 2), "": nn.Sequential(nn.Linear(2, 2, bias=False))})
        assert [one.name for one in pair] == ["a.weight", "a.bias", "0.weight"]

    def test_frozen_ones_are_left_out(self):
        layer = nn.Linear(2, 2)
        layer.weight.requires_grad_(False)
        assert [one.name for one in named({"": layer})] == ["bias"]

    @pytest.mark.parametrize("order", ["table", "head"])
    def test_a_tied_table_comes_once_and_is_an_embedding_whoever_comes_first(self, order):
        table, head = nn.Embedding(5, 3), nn.Linear(3, 5)
        head.weight = table.weight
        roots = {"table": table, "head": head} if order == "table" else {"head": head, "table": table}
        found = {one.name: one for one in named(roots)}
        assert set(found) == {f"{order}.weight", "head.bias"}
        assert found[f"{order}.weight"].is_embedding
        assert not found[f"{order}.weight"].decays


class TestMuon:
    def split(self, net):
        names = {id(p): n for n, p in net.named_parameters()}
        groups = Muon().build(named({"": net})).param_groups
        return {names[id(p)] for group in groups if group["orthogonal"] for p in group["params"]}

    def test_takes_hidden_matrices_and_filters_alone(self):
        assert self.split(Net()) == {"filters.weight", "inner.weight"}

    def test_tables_and_heads_are_no_maps(self):
        """Queries, and a language's own head, whose rows are words and not directions."""
        assert self.split(AnchoredQueries(2, 2, 16)) == {"map.weight"}
        assert self.split(LearnedQueries(4, 16)) == set()
        assert "logits.weight" not in self.split(GPT(11, 8, 2, 1, Rotary(4), head=Untied()))

    def test_a_single_row_is_no_matrix(self):
        assert self.split(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))) == {"0.weight"}

    @pytest.mark.parametrize("nesterov", [True, False])
    def test_equals_torchs_muon_and_adamw(self, nesterov, monkeypatch):
        # torch always orthogonalises in bfloat16, ours on the CPU in float32; compare at the same precision.
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
        net = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 5))
        twin = copy.deepcopy(net)
        ours = Muon(0.02, nesterov=nesterov, weight_decay=0.1, rest_lr=1e-2).build(named({"": net}))
        matrices = torch.optim.Muon(
            [p for p in twin.parameters() if p.ndim == 2], lr=0.02, momentum=0.95, nesterov=nesterov, weight_decay=0.1
        )
        rest = torch.optim.AdamW([p for p in twin.parameters() if p.ndim < 2], lr=1e-2, weight_decay=0.0)
        for step in range(5):
            x = torch.randn(20, 6, generator=torch.Generator().manual_seed(step))
            for model, optimizers in ((net, [ours]), (twin, [matrices, rest])):
                model.zero_grad()
                model(x).square().mean().backward()
                for optimizer in optimizers:
                    optimizer.step()
        for one, other in zip(net.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("half", [False, True])
    def test_is_near_torchs_muon_in_bfloat16(self, half):
        p, q = (nn.Linear(12, 20, bias=False) for _ in range(2))
        q.load_state_dict(p.state_dict())
        start = p.weight.detach().clone()
        ours, theirs = Muon(0.1).build(named({"": p})), torch.optim.Muon(q.parameters(), lr=0.1, weight_decay=0.0)
        p.weight.grad = torch.randn(20, 12)
        q.weight.grad = p.weight.grad.clone()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            ours.step()
        theirs.step()
        moved = q.weight - start
        assert p.weight.dtype == torch.float32
        assert (p.weight - q.weight).norm() < 0.02 * moved.norm()

    def test_products_are_in_half_precision_under_autocast_alone(self):
        matrices = torch.randn(1, 12, 20)
        assert orthogonalised(matrices, 5).dtype == torch.float32
        with torch.autocast("cpu", torch.bfloat16):
            assert orthogonalised(matrices, 5).dtype == torch.bfloat16

    def test_a_filters_update_is_orthogonal_as_the_matrix_it_is(self):
        conv = nn.Conv2d(4, 8, 3, bias=False)
        start = conv.weight.detach().clone()
        optimizer = Muon(1.0, iterations=12).build(named({"": conv}))
        conv.weight.grad = torch.randn_like(conv.weight)
        optimizer.step()
        singular = torch.linalg.svdvals((start - conv.weight.detach()).flatten(1))
        assert len(singular) == 8
        assert singular.min() > 0.6
        assert singular.max() < 1.3

    def test_matrices_of_one_shape_do_not_mix(self):
        pair = nn.ModuleList([nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)])
        alone = copy.deepcopy(pair[1])
        for layer in (*pair, alone):
            layer.weight.grad = torch.randn(5, 5) if layer is pair[0] else torch.eye(5) + torch.arange(5.0)
        Muon().build(named({"": pair})).step()
        Muon().build(named({"": alone})).step()
        torch.testing.assert_close(pair[1].weight, alone.weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.0), "SGD: lr must be above 0, got 0"),
        (lambda: AdamW(float("nan")), "AdamW: lr must be above 0"),
        (lambda: AdamW(float("inf")), "lr must be above 0"),
        (lambda: AdamW(weight_decay=-1.0), "weight_decay must be at least 0, got -1"),
        (lambda: Adam(betas=(0.9, 1.0)), r"betas must be two numbers in \[0, 1\), got \(0\.9, 1\.0\)"),
        (lambda: SGD(momentum=1.0), "momentum must be in"),
        (lambda: SGD(nesterov=True), r"add momentum=0\.9"),
        (lambda: RMSprop(alpha=1.0), "alpha must be in"),
        (lambda: Adadelta(rho=-0.1), "rho must be in"),
        (lambda: Adagrad(eps=0.0), "eps must be above 0"),
        (lambda: Muon(iterations=0), "iterations must be 1 to 99"),
        (lambda: Muon(rest_lr=0.0), "rest_lr must be above 0"),
    ],
)
def test_out_of_range_is_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_descriptions_are_values():
    assert AdamW(1e-3) == AdamW(1e-3)
    assert AdamW(1e-3) != AdamW(2e-3)
    muon = Muon(0.01, momentum=0.9, weight_decay=0.1, schedule=Cosine())
    assert eval(repr(muon)) == muon


@pytest.mark.parametrize("description", [Adam(0.01, weight_decay=0.1), AdamW(0.01, weight_decay=0.1)])
def test_the_direct_step_is_the_optimizers_own_in_every_bit(description):
    torch.manual_seed(0)
    one = Net()
    other = copy.deepcopy(one)
    parameters = [[held.parameter for held in named({"": net})] for net in (one, other)]
    optimizers = [description.build(named({"": net})) for net in (one, other)]
    assert Direct.of(optimizers[0], parameters[0]) is None  # there are no moments yet
    direct = None
    for step in range(4):
        gradients = [torch.randn_like(p) for p in parameters[0]]
        for held, optimizer in zip(parameters, optimizers, strict=True):
            if optimizer is optimizers[0] and direct is not None:
                for group in optimizer.param_groups:
                    group["lr"] = 0.01 / step
                assert direct(gradients)
                continue
            for group in optimizer.param_groups:
                group["lr"] = 0.01 / max(step, 1)
            for p, gradient in zip(held, gradients, strict=True):
                p.grad = gradient.clone()
            optimizer.step()
        direct = direct or Direct.of(optimizers[0], parameters[0])
        assert direct is not None
    for a, b in zip(*parameters, strict=True):
        assert torch.equal(a, b)
    states = [optimizer.state_dict()["state"] for optimizer in optimizers]
    for key, values in states[0].items():
        assert all(torch.equal(value, states[1][key][name]) for name, value in values.items())


def test_the_direct_step_leaves_to_the_optimizer_what_it_cannot_do():
    net = Net()
    parameters, optimizer = [held.parameter for held in named({"": net})], AdamW(0.01).build(named({"": net}))
    for p in parameters:
        p.grad = torch.ones_like(p)
    optimizer.step()
    direct = Direct.of(optimizer, parameters)
    assert direct is not None
    gradients = [torch.ones_like(p) for p in parameters]
    before = [p.clone() for p in parameters]
    assert not direct([None, *gradients[1:]])
    place = next(i for i, p in enumerate(parameters) if p.dim() == 2)
    turned = gradients[place].T.contiguous().T
    assert not direct([*gradients[:place], turned, *gradients[place + 1 :]])
    handle = optimizer.register_step_pre_hook(lambda *_: None)
    assert not direct(gradients)
    assert all(torch.equal(a, b) for a, b in zip(parameters, before, strict=True))
    handle.remove()
    assert direct(gradients)
    plain = SGD(0.01, momentum=0.9).build(named({"": net}))
    assert Direct.of(plain, parameters) is None

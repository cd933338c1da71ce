"""Whole models against plain formulas written out with their copied weights, forward and gradient; sizes; refusals."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from descend.functional import keyed
from descend.models import (
    BERT,
    MLP,
    Airbench,
    LeNet,
    Mirrored,
    ResNet,
    TableNet,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
)
from descend.nn import GELU, BatchNorm, GroupNorm, PReLU, geglu, glu, reglu, swiglu
from descend.optim.muon import is_hidden_matrix
from descend.optim.optimizer import named


def _draw(*shape, key=1):
    return torch.randn(*shape, generator=keyed.generator(key))


def _compare(model, formula, x):
    """The model's output and parameter gradients are the formula's."""
    parameters = dict(model.named_parameters())
    out, expected = model(x), formula(parameters, x)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    weight = _draw(*out.shape, key=2)
    grads = torch.autograd.grad((out * weight).sum(), list(parameters.values()))
    others = torch.autograd.grad((expected * weight).sum(), list(parameters.values()))
    for name, grad, other in zip(parameters, grads, others, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-4, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_mlp():
    def formula(p, x):
        x = x.flatten(1)
        for i in range(2):
            x = torch.relu(x @ p[f"body.{i}.0.weight"].T + p[f"body.{i}.0.bias"])
        return x @ p["head.weight"].T + p["head.bias"]

    _compare(MLP(12, 9, 7, out=4), formula, _draw(5, 3, 4))


def test_mlp_without_hidden_layers_is_linear_and_the_template_is_no_part_of_it():
    assert [name for name, _ in MLP(3, out=2).named_parameters()] == ["head.weight", "head.bias"]
    names = [name for name, _ in MLP(3, 4, 4, out=2, activation=PReLU()).named_parameters()]
    assert sum("activation" in name for name in names) == 0
    assert len(names) == 3 * 2 + 2  # two layers with their own slopes, one head
    assert len(list(MLP(3, 4, 4, out=2, activation=GELU()).parameters())) == 6


def test_lenet():
    def formula(p, x):
        for i in (0, 3):
            x = functional.conv2d(x, p[f"body.{i}.weight"], p[f"body.{i}.bias"], padding=2 if i == 0 else 0)
            x = functional.max_pool2d(torch.relu(x), 2)
        x = x.flatten(1)
        for i in (1, 4):
            x = torch.relu(functional.linear(x, p[f"hidden.{i}.weight"], p[f"hidden.{i}.bias"]))
        return functional.linear(x, p["head.weight"], p["head.bias"])

    _compare(LeNet(1, 10), formula, _draw(4, 1, 28, 28))


def _resnet(p, x, blocks, norm):
    def conv_norm(x, name, stride):
        size = p[f"{name}.0.weight"].shape[-1]
        x = functional.conv2d(x, p[f"{name}.0.weight"], stride=stride, padding=size // 2)
        return norm(x, p[f"{name}.1.weight"], p[f"{name}.1.bias"])

    x, place = torch.relu(conv_norm(x, "stem", 1)), 0
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride, name = (2 if stage and block == 0 else 1), f"stages.{place}"
            y = torch.relu(conv_norm(x, f"{name}.body.0", stride))
            y = conv_norm(y, f"{name}.body.1", 1)
            if f"{name}.shortcut.0.weight" in p:
                x = conv_norm(x, f"{name}.shortcut", stride)
            x, place = torch.relu(x + y), place + 1
    return functional.linear(x.mean((2, 3)), p["head.weight"], p["head.bias"])


def test_resnet_with_batch_norm_in_training():
    def norm(x, weight, bias):
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        return (x - mean) / (var + 1e-5).sqrt() * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)

    model = ResNet(3, 5, (2, 1), (8, 16)).train()
    _compare(model, lambda p, x: _resnet(p, x, (2, 1), norm), _draw(6, 3, 12, 12))


def test_airbench():
    def formula(p, x):
        def norm(x, shift):
            mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
            return (x - mean) / (var + 1e-5).sqrt() + shift.view(-1, 1, 1)

        gelu = functional.gelu
        x = gelu(functional.conv2d(x, p["white.weight"], p["white.bias"]))
        for i in (1, 2, 3):
            x = functional.max_pool2d(functional.conv2d(x, p[f"body.{i}.0.weight"], padding=1), 2)
            x = gelu(norm(x, p[f"body.{i}.2.bias"]))
            x = gelu(norm(functional.conv2d(x, p[f"body.{i}.4.weight"], padding=1), p[f"body.{i}.5.bias"]))
        return functional.linear(x.amax((2, 3)), p["head.weight"], p["head.bias"]) / 9

    model = Airbench(3, 5, (8, 12, 10))
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["white.weight", *(f"body.{i}.{j}.weight" for i in (1, 2, 3) for j in (2, 5))]
    for p in model.parameters():
        p.requires_grad_(True)  # to compare their gradients too
    for name, p in model.named_parameters():
        if name in frozen[1:]:
            assert (p == 1).all()
    plain = _WithoutScale(model)
    _compare(plain, lambda p, x: formula({n.removeprefix("model."): v for n, v in p.items()}, x), _draw(6, 3, 32, 32))


class _WithoutScale(torch.nn.Module):
    """The network over its learned parameters alone: the norms' scales stay 1."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)

    def named_parameters(self, *args, **kwargs):
        for name, p in super().named_parameters(*args, **kwargs):
            if not (name.startswith("model.body") and name.endswith(("2.weight", "5.weight"))):
                yield name, p


def test_airbench_whitens_patches():
    model = Airbench(3, 5)
    mixing = _draw(12, 12, key=4)
    x = (_draw(40_000, 12, key=5) @ mixing).view(-1, 3, 2, 2)
    model.whiten(x, eps=0.0)
    y = functional.conv2d(x, model.white.weight).flatten(1)
    torch.testing.assert_close(torch.cov(y[:, :12].T), torch.eye(12), atol=1e-3, rtol=0)
    torch.testing.assert_close(y[:, 12:], -y[:, :12])


def test_resnet_with_group_norm():
    def norm(x, weight, bias):
        return functional.group_norm(x, 4, weight, bias)

    model = ResNet(3, 5, (1, 2), (8, 16), norm=GroupNorm(4))
    _compare(model, lambda p, x: _resnet(p, x, (1, 2), norm), _draw(6, 3, 12, 12))


def test_one_member_of_a_table_network_is_a_plain_network():
    def formula(p, inputs):
        numbers, categories = inputs
        angle = 2 * torch.pi * p["periodic.frequency"].view(3, -1) * numbers[:, :, None]
        waves = torch.cat([torch.sin(angle), torch.cos(angle), numbers[:, :, None]], 2)
        parts = [
            torch.relu(waves[:, c] @ p["periodic.weight"][c] + p["periodic.bias"].view(3, -1)[c]) for c in range(3)
        ]
        x = torch.cat([*parts, p["tables.0.weight"][categories[:, 0]]], 1)
        for i in range(2):
            inner, outer = p[f"body.{i}.inner"], p[f"body.{i}.outer"]
            x = torch.relu((x * inner) @ p[f"body.{i}.map.weight"].T * outer + p[f"body.{i}.bias"])
        return x @ p["head"][0] + p["head_bias"]

    model = TableNet(3, (6,), 2, hidden=(8, 5), members=1, dropout=0.0)
    categories = torch.randint(0, 6, (9, 1), generator=keyed.generator(3))
    plain = _Pair(model)
    _compare(
        plain, lambda p, x: formula({n.removeprefix("model."): v for n, v in p.items()}, x), (_draw(9, 3), categories)
    )


class _Pair(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs):
        return self.model(*inputs)


def test_members_differ_and_answer_by_their_mean():
    model = TableNet(3, (6,), 2, members=5).eval()
    inputs = _draw(9, 3), torch.zeros(9, 1, dtype=torch.long)
    members = model.each(*inputs)
    assert members.shape == (9, 5, 2)
    assert members.std(1).min() > 0
    torch.testing.assert_close(members.mean(1), model(*inputs))


def test_every_member_is_a_network_of_its_own_scales():
    """Member k of five is the one member of a network that was given its scales, biases and head."""
    model = TableNet(3, (6,), 2, hidden=(8, 5), members=5).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=keyed.generator(4)))
    inputs = _draw(9, 3), torch.randint(0, 6, (9, 1), generator=keyed.generator(3))
    shared = {"periodic.frequency", "periodic.weight", "periodic.bias", "tables.0.weight"}
    for k in range(5):
        one = TableNet(3, (6,), 2, hidden=(8, 5), members=1).eval()
        state = {
            name: value if name in shared or name.endswith("map.weight") else value.chunk(5)[k]
            for name, value in model.state_dict().items()
        }
        one.load_state_dict(state)
        torch.testing.assert_close(one(*inputs), model.each(*inputs)[:, k])


@pytest.mark.parametrize(
    "model",
    [
        TableNet(3, (6, 4), 2, members=3),
        MLP(4, 8, 8, out=3, norm=BatchNorm(axes=0)),
        LeNet(),
        ResNet(3, 10, (1, 1), (8, 16)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_only_maps_decay_and_only_hidden_ones_are_muons(model):
    """No bias, norm, scale or embedding decays; Muon takes neither those nor the head."""
    decaying = {one.name for one in named({"": model}) if one.decays}
    hidden = {one.name for one in named({"": model}) if is_hidden_matrix(one)}
    maps = {f"{path}.weight" for path, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    own = {"periodic.weight", "head"} if isinstance(model, TableNet) else set()
    assert decaying == maps | own
    assert hidden == maps - {"head.weight"}


def test_an_unknown_category_begins_as_nothing():
    assert TableNet(0, (6, 3), 2).tables[1].weight[0].abs().sum() == 0
    with pytest.raises(ValueError, match="nothing to learn from"):
        TableNet(0, (), 1)


def test_a_mirrored_network_answers_alike_for_both():
    model = Mirrored(ResNet(1, 3, (1,), (4,), norm=GroupNorm(2))).eval()
    x = _draw(4, 1, 8, 8)
    torch.testing.assert_close(model(x), model(x.flip(3)))
    assert not torch.allclose(model.network(x), model.network(x.flip(3)))
    torch.testing.assert_close(model.train()(x), model.network(x))


def test_a_shifted_network_weighs_its_views():
    model = Mirrored(nn.Flatten(), 1).eval()
    x = torch.arange(9.0).view(1, 1, 3, 3)
    # Mirrored, each row's mean stands in all its places; moved by one, reflected at the border, a row's neighbour does.
    rows = torch.tensor([1.0, 4.0, 7.0]) / 2 + torch.tensor([4.0, 1.0, 4.0]) / 4 + torch.tensor([4.0, 7.0, 4.0]) / 4
    torch.testing.assert_close(model(x).view(3, 3).mean(1), rows)


@pytest.mark.parametrize(
    ("model", "millions"),
    [(resnet20, 0.272), (resnet32, 0.467), (resnet44, 0.661), (resnet56, 0.856)],
)
def test_the_sizes_of_the_paper(model, millions):
    """He et al. 2016, table 6: 0.27, 0.46, 0.66, 0.85 M with parameter-free shortcuts; ours add 2,752 weights."""
    assert sum(p.numel() for p in model().parameters()) / 1e6 == pytest.approx(millions, abs=0.001)


def test_other_known_sizes():
    assert sum(p.numel() for p in LeNet().parameters()) == 61_706
    assert sum(p.numel() for p in MLP(784, 128, 64, out=10).parameters()) == 109_386


def test_templates_stay_out_of_copies_and_pickles_too():
    template = PReLU()
    model = MLP(3, 4, 4, out=2, activation=template)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert list(other.state_dict()) == list(model.state_dict())
        assert isinstance(other.activation, PReLU)
    slopes = [value.data_ptr() for name, value in model.state_dict(keep_vars=True).items() if value.shape == (1,)]
    assert len({*slopes, template.weight.data_ptr()}) == 3, "two layers and the template, none shared"


@pytest.mark.parametrize("gate", [glu, geglu, reglu, swiglu])
def test_a_gated_network_has_the_widths_it_was_asked_for(gate):
    def formula(p, x):
        for i in range(2):
            a, b = (x @ p[f"body.{i}.0.weight"].T + p[f"body.{i}.0.bias"]).chunk(2, 1)
            x = a * gate().activation(b)
        return x @ p["head.weight"].T + p["head.bias"]

    model = MLP(6, 9, 7, out=4, activation=gate())
    assert model.head.in_features == 7
    _compare(model, formula, _draw(5, 6))


def test_a_first_layer_in_each_model_is_of_the_activations_scheme():
    """Hidden layers at √2/√fan (ReLU), heads small, biases 0: one visible place, and it reaches everything."""
    for model, fan in ((MLP(400, 300, out=10), "fan_in"), (ResNet(3, 10, (1,), (64,)), "fan_out"), (LeNet(), "fan_in")):
        for path, module in model.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                ins, outs = nn.init._calculate_fan_in_and_fan_out(module.weight)
                count = outs if fan == "fan_out" else ins
                expected = 1 / (3 * ins) if path == "head" else 2 / count
                assert module.weight.var().item() == pytest.approx(expected, rel=0.25), path
                assert module.bias is None or module.bias.abs().sum() == 0


def test_words_begin_as_wide_as_told():
    wide = BERT(500, 32, 2, 1, 64, spread=0.3)
    cut = 0.88  # a normal distribution cut at two deviations has so much of its own
    assert wide.words.weight.std().item() == pytest.approx(0.3 * cut, rel=0.02)
    assert wide.words.weight.abs().max() <= 0.6
    assert wide.places.weight.std().item() == pytest.approx(0.02 * cut, rel=0.05)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="too small"):
        LeNet(size=12)
    with pytest.raises(ValueError, match="one number a stage"):
        ResNet(3, 10, (1, 1), (8,))

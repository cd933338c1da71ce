"""Generator and critic against formulas with their own weights; spectral norm; refusals."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from descend.functional import keyed
from descend.models import ClassNorm, ConvCritic, ConvGenerator, Spectral


def drawn(*shape, key=1):
    return torch.randn(*shape, generator=keyed.generator(key))


def classes(n, known, key=2):
    return torch.randint(known, (n,), generator=keyed.generator(key))


def test_a_class_norm_is_batch_norm_with_a_class_s_own_scale_and_shift():
    norm, x, target = ClassNorm(3, 4).double(), drawn(6, 3, 5, 5).double(), classes(6, 4)
    torch.testing.assert_close(norm(x, target), functional.batch_norm(x, None, None, training=True))
    nn.init.normal_(norm.styles.weight)
    plain = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    for row, number in enumerate(target.tolist()):
        scale, shift = norm.styles.weight[number, :3], norm.styles.weight[number, 3:]
        torch.testing.assert_close(norm(x, target)[row], plain[row] * scale[:, None, None] + shift[:, None, None])


def test_a_generator_is_its_formula():
    network = ConvGenerator((2, 8, 12), 5, 4, (6, 4)).double().eval()
    noise, target = drawn(7, 5).double(), classes(7, 4)
    p = dict(network.named_parameters())
    x = (noise @ p["first.weight"].T + p["first.bias"]).view(7, 2, 3, 6).permute(0, 3, 1, 2)
    for number, name in enumerate(("middle", "last")):
        scale, shift = p[f"norms.{number}.styles.weight"][target].chunk(2, 1)
        x = torch.relu(x / (1 + 1e-5) ** 0.5 * scale[:, :, None, None] + shift[:, :, None, None])
        x = functional.conv_transpose2d(x, p[f"{name}.weight"], p[f"{name}.bias"], stride=2, padding=1)
    torch.testing.assert_close(network(noise, target), 1 / (1 + (-x).exp()))


def test_a_critic_projects_its_features_onto_the_class():
    network = ConvCritic((2, 8, 12), 4, (4, 6), 8).double()
    x, target = torch.rand(5, 2, 8, 12, generator=keyed.generator(3)).double(), classes(5, 4)
    p = dict(network.named_parameters())
    y = 2 * x - 1
    for number in (0, 2):
        y = functional.conv2d(y, p[f"body.{number}.weight"], p[f"body.{number}.bias"], stride=2, padding=1)
        y = y.where(y > 0, 0.2 * y)
    y = y.flatten(1) @ p["body.5.weight"].T + p["body.5.bias"]
    features = y.where(y > 0, 0.2 * y)
    expected = (features * (p["head.weight"] + p["rows.weight"][target])).sum(1) + p["head.bias"]
    torch.testing.assert_close(network(x, target), expected)


def test_spectral_norm_holds_every_layer_at_1_and_is_trained_through():
    """A layer's matrix has one row an output channel."""
    network = ConvCritic((1, 8, 8), 3, (4, 6), 8, Spectral(3))
    x, target = torch.rand(5, 1, 8, 8, generator=keyed.generator(3)), classes(5, 3)
    for _ in range(30):
        network(x, target).sum().backward()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 5
    for layer in layers:
        original = layer.parametrizations.weight.original
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
        assert original.grad.abs().sum() > 0
    plain = ConvCritic((1, 8, 8), 3, (4, 6), 8)
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in network.parameters())


def test_spectral_norm_stands_still_in_evaluation_and_is_saved():
    network, other = (ConvCritic((1, 8, 8), None, (4, 6), 8, Spectral()) for _ in range(2))
    x = torch.rand(5, 1, 8, 8, generator=keyed.generator(3))
    network(x)
    state = copy.deepcopy(network.eval().state_dict())
    said = network(x)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    other.load_state_dict(state)
    assert torch.equal(other.eval()(x), said)


def test_pictures_begin_grey_and_are_of_0_to_1():
    network = ConvGenerator()
    made = network(drawn(16, 64))
    assert made.shape == (16, 1, 28, 28)
    assert abs(made.mean().item() - 0.5) < 0.05
    with torch.no_grad():
        network.last.weight.mul_(1000)
        far = network(drawn(16, 64))
    assert far.min() >= 0
    assert far.max() <= 1


def test_what_does_not_fit_is_refused():
    for network in (ConvGenerator, ConvCritic):
        with pytest.raises(ValueError, match="pictures of 26×28: sides are halved twice, so give multiples of 4"):
            network((1, 28, 26))
    known, none = ConvGenerator((1, 8, 8), 5, 4), ConvGenerator((1, 8, 8), 5)
    with pytest.raises(ValueError, match=r"no class was given, and this network was made for 4, 0 … 3"):
        known(drawn(2, 5))
    with pytest.raises(ValueError, match="classes were given, and this network was made for none"):
        none(drawn(2, 5), torch.tensor([0, 1]))


def test_channels_lie_last():
    held = ConvCritic(spectral=Spectral())
    weights = [*ConvGenerator().parameters(), *ConvCritic().parameters(), *held.parameters()]
    filters = [weight for weight in weights if weight.ndim == 4]
    assert len(filters) == 6
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in filters)


def test_widths_are_those_of_the_maps():
    shapes = [[tuple(p.shape[:2]) for p in network.parameters() if p.ndim == 4] for network in (
        ConvGenerator((1, 8, 8), 5, widths=(12, 10)), ConvCritic((1, 8, 8), widths=(10, 12))
    )]
    assert shapes == [[(12, 10), (10, 1)], [(10, 1), (12, 10)]]

"""Per-sample clipping against a loop: every sample a batch of one, forward and backward on its own."""

import warnings
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from descend.data import Batch
from descend.functional import Mean
from descend.functional.persample import clipped_gradients


def clip(norms: Tensor) -> Tensor:
    return 0.5 / norms.clamp(min=0.5)


def looped(loss, parameters, batch):
    sums, norms, total = [torch.zeros_like(p) for p in parameters], [], 0.0
    for i in range(len(batch)):
        value = loss(Batch({name: tensor[i : i + 1] for name, tensor in batch.items()})).value()
        found = torch.autograd.grad(value, parameters, allow_unused=True)
        g = [torch.zeros_like(p) if one is None else one for p, one in zip(parameters, found, strict=True)]
        norms.append(torch.cat([one.flatten() for one in g]).norm())
        for total_of, one in zip(sums, g, strict=True):
            total_of += one * clip(norms[-1])
        total += value.item()
    return sums, torch.stack(norms), total


def check(modules, loss, batch, parameters=None, slowly=None):
    """Equal to the loop; ``slowly`` is the reason it must give for looping itself, where it must."""
    modules = modules if isinstance(modules, list) else [modules]
    parameters = parameters or [p for module in modules for p in module.parameters()]
    parameters = list(dict.fromkeys(parameters))
    before = [p.detach().clone() for p in parameters]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        sums, norms, total = clipped_gradients(loss, modules, parameters, batch, clip)
    said = [str(one.message) for one in said if "one sample at a time" in str(one.message)]
    assert bool(said) == bool(slowly), said
    assert not slowly or slowly in said[0]
    expected, lengths, value = looped(loss, parameters, batch)
    assert (clip(lengths) < 1).sum() > 0, "nothing was clipped, so nothing is proved"
    torch.testing.assert_close(norms, lengths, rtol=1e-5, atol=1e-6)
    assert total.item() == pytest.approx(value, rel=1e-5)
    assert not total.requires_grad
    for one, other, p, kept in zip(sums, expected, parameters, before, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-6)
        assert one.shape == p.shape
        assert p.grad is None
        assert torch.equal(p, kept)
    assert all("forward" not in vars(m) for module in modules for m in module.modules()), "a tap was left behind"


def classes(model):
    def loss(batch: Batch) -> Mean:
        return Mean.of(functional.cross_entropy(model(batch["x"]), batch["target"], reduction="none"))

    return loss


def pictures(n=6, size=8):
    return Batch(x=2 * torch.randn(n, 3, size, size), target=torch.randint(4, (n,)))


def words(n=6):
    return Batch(x=torch.randint(9, (n, 5)), target=torch.randint(4, (n,)))


def mlp(*sizes):
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Words(nn.Module):
    """Embedding and Linear over a sequence; positions that no sample reaches; a norm; a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 6, padding_idx=0)
        self.place = nn.Embedding(5, 6)
        self.inner = nn.Linear(6, 12)
        self.norm = nn.LayerNorm(12)
        self.shift = nn.Parameter(torch.randn(12))
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        h = self.table(x) + self.place(torch.arange(5))
        return self.head((self.norm(self.inner(h).relu()) + self.shift).mean(1))


def test_mlp():
    model = mlp(10, 8, 6, 4)
    check(model, classes(model), Batch(x=2 * torch.randn(7, 10), target=torch.randint(4, (7,))))


def test_batches_of_one_and_as_wide_as_long():
    for n in (1, 4):
        model = mlp(4, 4, 4)
        check(model, classes(model), Batch(x=4 * torch.randn(n, 4), target=torch.randint(4, (n,))))


def test_words():
    model = Words()
    check(model, classes(model), words())


def test_convolution_and_group_norm():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, dilation=2),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.Conv2d(8, 4, (1, 3), bias=False),
        nn.Flatten(),
        nn.LazyLinear(4),
    )
    batch = pictures()
    model(batch["x"])
    check(model, classes(model), batch)


@pytest.mark.parametrize("second", [{"groups": 2}, {"padding_mode": "reflect", "padding": 1}, {"padding": "same"}])
def test_convolutions_of_other_kinds(second):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 3, **second), nn.Flatten(), nn.LazyLinear(4))
    batch = pictures()
    model(batch["x"])
    check(model, classes(model), batch)


def test_convolution_over_time():
    model = nn.Sequential(nn.Conv1d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(24, 4))
    check(model, classes(model), Batch(x=2 * torch.randn(6, 3, 8), target=torch.randint(4, (6,))))


@pytest.mark.parametrize("activation", [nn.ReLU(inplace=True), functional.relu_], ids=["module", "function"])
def test_activations_in_place(activation):
    """A tap that kept the output itself would be given the gradient behind the activation."""

    class Act(nn.Module):
        def forward(self, x):
            return activation(x)

    act = activation if isinstance(activation, nn.Module) else Act()
    model = nn.Sequential(nn.Conv2d(3, 5, 3), act, nn.Flatten(), nn.Linear(180, 6), act, nn.Linear(6, 4))
    check(model, classes(model), pictures())


def test_attention():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(9, 8), nn.Linear(8, 4)
            self.mix = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            h = self.table(x)
            return self.head((h + self.mix(h, h, h, need_weights=False)[0]).mean(1))

    model = Attends()
    check(model, classes(model), words())


def test_dropout_draws_for_every_sample():
    model = nn.Sequential(nn.Linear(10, 50), nn.Dropout(0.5), nn.Linear(50, 2))
    batch = Batch(x=torch.ones(6, 10), target=torch.zeros(6, dtype=torch.long))
    _, norms, _ = clipped_gradients(classes(model), [model], list(model.parameters()), batch, clip)
    assert len(norms.unique()) == 6


class TestShared:
    def test_a_module_called_twice(self):
        inner, head = nn.Linear(6, 6), nn.Linear(6, 4)
        batch = Batch(x=2 * torch.randn(6, 6), target=torch.randint(4, (6,)))
        check([inner, head], classes(lambda x: head(inner(inner(x).tanh()).tanh())), batch)

    def test_a_table_used_twice(self):
        table, head = nn.Embedding(9, 6), nn.Linear(6, 4)
        check([table, head], classes(lambda x: head((table(x) * table(x.flip(1))).sum(1))), words())

    def test_a_table_tied_to_the_head(self):
        model = nn.Sequential(nn.Embedding(9, 6), nn.Flatten(), nn.Linear(30, 6), nn.Linear(6, 9))
        model[3].weight = model[0].weight
        check(model, classes(model), words())

    def test_a_weight_used_outside_of_its_module(self):
        inner = nn.Linear(6, 4)
        batch = Batch(x=torch.randn(6, 6))

        def decode(batch: Batch) -> Mean:
            code = inner(batch["x"]).tanh()
            return Mean.of((functional.linear(code, inner.weight.T) - batch["x"]).square())

        check(inner, decode, batch)

    def test_a_penalty_on_the_weights(self):
        model = mlp(5, 6, 4)
        plain = classes(model)
        batch = Batch(x=torch.randn(6, 5), target=torch.randint(4, (6,)))
        check(model, lambda part: plain(part) + 0.1 * Mean(model[0].weight.square().sum(), 1), batch)


class TestLosses:
    def test_counts_that_differ_between_samples(self):
        model = nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 9))

        def loss(batch: Batch) -> Mean:
            each = functional.cross_entropy(model(batch["x"]).mT, batch["target"], reduction="none")
            masked = Mean.of(each, (batch["target"] > 3).float())
            return masked + 0.3 * Mean.of(
                model[0](batch["x"]).square(), batch["weight"][:, None, None].expand(-1, 5, 6)
            )

        batch = Batch(x=torch.randint(9, (8, 5)), target=torch.randint(9, (8, 5)), weight=torch.rand(8))
        batch["target"][2] = 0  # counts nothing, and so teaches nothing
        check(model, loss, batch)

    def test_some_parameters_only(self):
        model = mlp(5, 6, 6, 4)
        batch = Batch(x=2 * torch.randn(6, 5), target=torch.randint(4, (6,)))
        check(model, classes(model), batch, [model[0].bias, model[2].weight])

    def test_a_parameter_that_the_loss_does_not_reach(self):
        model = nn.ModuleDict({"used": nn.Linear(5, 4), "idle": nn.Linear(3, 3), "norm": nn.LayerNorm(4)})
        batch = Batch(x=2 * torch.randn(6, 5), target=torch.randint(4, (6,)))
        check(model, classes(model["used"]), batch)

    def test_a_pass_without_gradient_leaves_none(self):
        model = nn.Linear(5, 4)

        def loss(batch: Batch) -> Mean:
            with torch.no_grad():
                target = model(batch["x"] + 1)
            return Mean.of((model(batch["x"]) - target).square())

        check(model, loss, Batch(x=torch.randn(6, 5)))

    def test_a_sequence_with_samples_on_another_axis(self):
        inner, head = nn.Linear(6, 6), nn.Linear(6, 4)
        batch = Batch(x=2 * torch.randn(6, 6, 6), target=torch.randint(4, (6,)))
        check([inner, head], classes(lambda x: head(inner(x.transpose(0, 1)).tanh().mean(0))), batch)

    def test_vmap_puts_the_samples_on_another_axis(self):
        """Convolving what all share with each sample's own filter does, and here that axis is as long as the first."""
        inner, head, fixed = nn.Linear(6, 5), nn.Linear(5, 4), torch.randn(4, 1, 6)
        batch = Batch(x=2 * torch.randn(4, 3), target=torch.randint(4, (4,)))

        def model(x):
            return head(inner(functional.conv1d(fixed, x.view(3, 1, 1))).tanh().mean((0, 1)))[None]

        check([inner, head], classes(model), batch)

    def test_a_gradient_inside_the_loss(self):
        model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 1))

        def penalty(batch: Batch) -> Mean:
            slope = torch.func.grad(lambda x: model(x).sum())(batch["x"])
            return Mean.of((slope.norm(dim=1) - 1).square())

        check(model, penalty, Batch(x=torch.randn(6, 5)))


class TestOneByOne:
    """What vmap cannot run is looped over, and says so."""

    def test_a_loss_that_branches_on_numbers(self):
        model = nn.Linear(5, 4)

        def loss(batch: Batch) -> Mean:
            y = model(batch["x"])
            return Mean.of(y.square() if y.sum() > 0 else y.abs())

        check(model, loss, Batch(x=2 * torch.randn(6, 5)), slowly="data-dependent")

    def test_a_recurrent_kernel(self):
        inner, head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 4)
        batch = Batch(x=2 * torch.randn(6, 4, 3), target=torch.randint(4, (6,)))
        check([inner, head], classes(lambda x: head(inner(x)[0][:, -1])), batch, slowly="aten::lstm")

    def test_a_double_backward(self):
        model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 1))

        def penalty(batch: Batch) -> Mean:
            x = batch["x"].detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
            return Mean.of((slope.norm(dim=1) - 1).square())

        check(model, penalty, Batch(x=torch.randn(6, 5)), slowly="requires_grad_")

    def test_a_batch_that_splits_in_its_own_way(self):
        class Pairs(Batch):
            def __len__(self):
                return len(self["x"]) // 2

            def split(self, parts):
                return [Batch(x=self["x"][2 * i : 2 * i + 2]) for i in range(len(self))]

        model = nn.Linear(3, 2)
        batch = Pairs(x=torch.randn(8, 3))

        def loss(part: Batch) -> Mean:
            return Mean.of(model(part["x"]).square())

        with pytest.warns(UserWarning, match="Pairs is no stack of rows"):
            sums, norms, _ = clipped_gradients(loss, [model], [model.weight], batch, torch.ones_like)
        expected = [torch.autograd.grad(loss(part).value(), model.weight)[0] for part in batch.split(4)]
        torch.testing.assert_close(sums[0], torch.stack(expected).sum(0))
        torch.testing.assert_close(norms, torch.stack([g.norm() for g in expected]))

    def test_the_losss_own_error_is_raised(self):
        model = nn.Linear(5, 4)
        with pytest.warns(match="multiplied"), pytest.raises(RuntimeError, match="cannot be multiplied"):
            clipped_gradients(classes(model), [model], list(model.parameters()), pictures(), clip)
        assert "forward" not in vars(model)


def test_batch_norm_is_refused_in_training_and_fine_in_evaluation():
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    batch = Batch(x=2 * torch.randn(6, 5), target=torch.randint(4, (6,)))
    with pytest.raises(ValueError, match=r"BatchNorm1d in training mode mixes the batch: use GroupNorm\(2, 8\)"):
        clipped_gradients(classes(model), [model], list(model.parameters()), batch, clip)
    model.eval()
    check(model, classes(model), batch)


def test_a_compiled_module_runs_as_written_and_stays_compiled():
    model, compiled = mlp(10, 8, 4), []
    model._compiled_call_impl = lambda x: compiled.append(x) or model._call_impl(x)
    implementation = model._compiled_call_impl
    batch = Batch(x=2 * torch.randn(7, 10), target=torch.randint(4, (7,)))
    clipped_gradients(classes(model), [model], list(model.parameters()), batch, clip)
    assert not compiled
    assert model._compiled_call_impl is implementation


def test_under_autocast_norms_and_sums_stay_float32():
    model = mlp(10, 8, 4)
    batch = Batch(x=2 * torch.randn(7, 10), target=torch.randint(4, (7,)))
    parameters = list(model.parameters())
    exact, lengths, _ = clipped_gradients(classes(model), [model], parameters, batch, clip)
    with torch.autocast("cpu", torch.bfloat16):
        sums, norms, _ = clipped_gradients(classes(model), [model], parameters, batch, clip)
    assert {t.dtype for t in [*sums, norms]} == {torch.float32}
    torch.testing.assert_close(norms, lengths, rtol=0.03, atol=0)
    for one, other in zip(sums, exact, strict=True):
        assert (one - other).norm() < 0.03 * other.norm()

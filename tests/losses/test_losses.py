"""Every loss against its formula, value and gradient; over any split; at the ends of the numbers; wrongly called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from descend import losses
from descend.functional import keyed
from tests.reference import losses as reference


@dataclass(frozen=True)
class Case:
    """A loss, the tensors of its batch (all of the same first axis) and its other arguments."""

    name: str
    tensors: Callable[[int, torch.Generator], tuple[Tensor, ...]]
    arguments: dict[str, Any] = field(default_factory=dict)


def _logits(*places: int, classes: int = 4) -> Callable[[int, torch.Generator], tuple[Tensor, ...]]:
    return lambda n, g: (
        3 * torch.randn(n, classes, *places, generator=g, dtype=torch.float64),
        torch.randint(classes, (n, *places), generator=g),
    )


def _numbers(*shape: int, count: int = 2) -> Callable[[int, torch.Generator], tuple[Tensor, ...]]:
    return lambda n, g: tuple(torch.randn(n, *shape, generator=g, dtype=torch.float64) for _ in range(count))


def _answers(n: int, g: torch.Generator) -> tuple[Tensor, ...]:
    return 3 * torch.randn(n, 3, generator=g, dtype=torch.float64), torch.rand(n, 3, generator=g).double()


def _signs(n: int, g: torch.Generator) -> tuple[Tensor, ...]:
    scores, signs = _numbers(3)(n, g)
    return scores, signs.sign()


def _pairs(n: int, g: torch.Generator) -> tuple[Tensor, ...]:
    a, b = _numbers(5)(n, g)
    return a, a + 0.3 * b, torch.randint(2, (n,), generator=g).double()


def _distributions(n: int, g: torch.Generator) -> tuple[Tensor, ...]:
    logits, target = _numbers(4)(n, g)
    share = (2 * target).softmax(1)
    share[:, 0] = 0  # a class that the target rules out
    return logits, share / share.sum(1, keepdim=True)


def _quantiles(n: int, g: torch.Generator) -> tuple[Tensor, ...]:
    prediction, target = _numbers(2, 3)(n, g)
    return prediction, target[:, :, 0]


def _classed(n: int, g: torch.Generator) -> tuple[Tensor, ...]:
    return torch.randn(n, 5, generator=g, dtype=torch.float64), torch.randint(4, (n,), generator=g)


def _told(n: int, g: torch.Generator) -> tuple[Tensor, ...]:
    return torch.randn(n, 3, 5, generator=g, dtype=torch.float64), torch.randint(7, (n, 3), generator=g)


def _near(centres: Tensor) -> Callable[[int, torch.Generator], tuple[Tensor, ...]]:
    """Embeddings near a centre and opposite to one, so that every angle comes."""

    def made(n: int, g: torch.Generator) -> tuple[Tensor, ...]:
        noise, target = _classed(n, g)
        sign = torch.where(torch.arange(n) % 3 == 0, -2.0, 2.0)[:, None]
        return sign * centres[target] + noise, target

    return made


CENTRES = torch.randn(4, 5, generator=keyed.generator(8), dtype=torch.float64)
WORDS = torch.randn(7, 5, generator=keyed.generator(9), dtype=torch.float64)
WEIGHT = torch.tensor([0.2, 1.0, 3.0, 0.0], dtype=torch.float64)
CASES = {
    "cross_entropy": Case("cross_entropy", _logits()),
    "cross_entropy of places": Case("cross_entropy", _logits(2, 3), {"ignore_index": 2}),
    "cross_entropy, all of it": Case(
        "cross_entropy", _logits(), {"weight": WEIGHT, "label_smoothing": 0.3, "ignore_index": 1}
    ),
    "binary_cross_entropy": Case("binary_cross_entropy", _answers),
    "binary_cross_entropy, all of it": Case(
        "binary_cross_entropy", _answers, {"pos_weight": WEIGHT[:3], "label_smoothing": 0.2}
    ),
    "hinge": Case("hinge", _logits()),
    "hinge, wide": Case("hinge", _logits(), {"margin": 4.0}),
    "binary_hinge": Case("binary_hinge", _signs, {"margin": 0.7}),
    "focal": Case("focal", _logits()),
    "focal of places": Case("focal", _logits(3, classes=3), {"gamma": 0.5, "weight": WEIGHT[:3]}),
    "kl": Case("kl", _distributions),
    "dice": Case("dice", _logits(3, 2)),
    "sample_dice": Case("sample_dice", _logits(3, 2)),
    "cross_entropy of shares": Case("cross_entropy", _distributions, {"label_smoothing": 0.2}),
    "dice, unsmoothed": Case("dice", _logits(), {"smooth": 0.1}),
    "mse": Case("mse", _numbers(3)),
    "mae": Case("mae", _numbers(3, 2)),
    "huber": Case("huber", _numbers(4), {"delta": 0.6}),
    "quantile": Case("quantile", _quantiles, {"quantiles": (0.1, 0.5, 0.95)}),
    "cosine": Case("cosine", _numbers(5)),
    "triplet": Case("triplet", _numbers(5, count=3), {"margin": 0.5}),
    "semi_hard_triplet": Case("semi_hard_triplet", _classed, {"margin": 0.5}),
    "arcface": Case("arcface", _near(CENTRES), {"centres": CENTRES, "scale": 8.0}),
    "arcface, wide": Case("arcface", _near(CENTRES), {"centres": CENTRES, "scale": 8.0, "margin": 1.5}),
    "word_cross_entropy": Case("word_cross_entropy", _told, {"weight": WORDS}),
    "word_cross_entropy, all of it": Case(
        "word_cross_entropy",
        _told,
        {"weight": WORDS, "bias": WORDS[:, 0], "cap": 2.0, "label_smoothing": 0.1, "ignore_index": 2},
    ),
    "contrastive": Case("contrastive", _pairs, {"margin": 0.6}),
    "info_nce": Case("info_nce", _numbers(5), {"temperature": 0.5}),
}
COUPLED = {"dice", "info_nce", "semi_hard_triplet"}
every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def _made(case: Case, n: int = 12, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    tensors = case.tensors(n, keyed.generator(n, 3))
    tensors = tuple(x.to(dtype) if x.is_floating_point() else x for x in tensors)
    return tensors[0].clone().requires_grad_(), *tensors[1:]


def _arguments(case: Case, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    return {name: a.to(dtype) if isinstance(a, Tensor) else a for name, a in case.arguments.items()}


def test_every_loss_is_tried_here():
    assert {case.name for case in CASES.values()} == set(losses.__all__)


@every
def test_value_and_gradient_are_the_formulas(case):
    one, other = _made(case), _made(case)
    value = getattr(losses, case.name)(*one, **_arguments(case)).value()
    expected = getattr(reference, case.name)(*other, **_arguments(case))
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-9)
    value.backward()
    expected.backward()
    assert one[0].grad.abs().sum() > 0
    # torch's triplet loss adds 1e-6 to every difference, so that a distance of 0 has a slope
    torch.testing.assert_close(one[0].grad, other[0].grad, rtol=1e-5, atol=1e-6 if "triplet" in case.name else 1e-9)


@every
def test_a_split_batch_gives_the_same_numbers_unless_it_says_otherwise(case):
    """Parts of 1, 4 and 7 samples, divided by the whole batch's counts."""
    whole, split = _made(case), _made(case)
    loss, arguments = getattr(losses, case.name), _arguments(case)
    mean = loss(*whole, **arguments)
    mean.value().backward()
    parts = [loss(*(x[p] for x in split), **arguments) for p in (slice(0, 1), slice(1, 5), slice(5, 12))]
    counts = torch.stack([part.counts for part in parts]).sum(0)
    total = sum(part.value(counts.double()) for part in parts)
    total.backward()
    same = torch.allclose(total, mean.value(), rtol=1e-6) and torch.allclose(split[0].grad, whole[0].grad, rtol=1e-5)
    assert mean.coupled == (case.name in COUPLED)
    assert same is not mean.coupled, "a coupled loss that splits well needs no refusal"


@every
def test_float32_is_close_to_float64(case):
    exact = getattr(losses, case.name)(*_made(case), **_arguments(case)).value()
    single = getattr(losses, case.name)(*_made(case, dtype=torch.float32), **_arguments(case, torch.float32)).value()
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)


@every
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e4])
def test_value_and_gradient_stay_finite(case, size):
    """All numbers alike, nearly alike, and far apart: a network's first and last hours."""
    tensors = _made(case, dtype=torch.float32)
    scaled = tuple((x * size).detach() if x.is_floating_point() else x for x in tensors)
    if case.name in ("kl", "contrastive", "binary_cross_entropy", "binary_hinge"):
        scaled = (*scaled[: -1 if case.name != "contrastive" else 2], tensors[-1])  # targets have a range to keep
    scaled[0].requires_grad_()
    value = getattr(losses, case.name)(*scaled, **_arguments(case, torch.float32)).value()
    value.backward()
    assert value.isfinite()
    assert scaled[0].grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_gradient_where_the_answer_is_certain(gamma):
    """p is 1 to the last bit: (1 - p)^γ has no slope there for γ < 1."""
    logits = torch.tensor([[500.0, 0.0, 0.0]], requires_grad=True)
    losses.focal(logits, torch.tensor([0]), gamma=gamma).value().backward()
    assert logits.grad.tolist() == [[0, 0, 0]]


def test_focal_with_nothing_to_focus_is_cross_entropy():
    logits, target = _made(CASES["focal"])
    value = losses.focal(logits, target, gamma=0.0).value()
    torch.testing.assert_close(value, losses.cross_entropy(logits, target).value())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bias", [None, WORDS[:, 0]])
def test_words_a_part_at_a_time_are_the_same(smoothing, bias, monkeypatch, recwarn):
    found = []
    for large in (1 << 24, 0):
        monkeypatch.setattr("descend.losses.language.LARGE", large)
        states, target = _told(12, keyed.generator(1))
        states, weight = states.float().requires_grad_(), WORDS.float().requires_grad_()
        some = None if bias is None else bias.float()
        mean = losses.word_cross_entropy(states, target, weight, some, None, smoothing, ignore_index=2)
        mean.value().backward()
        found.append((mean.value(), mean.counts, states.grad, weight.grad))
    torch.testing.assert_close(*found)
    assert not [one for one in recwarn if "label_smoothing" in str(one.message)]


def test_many_words_add_up_in_bfloat16_too():
    """16,384 words of about 10 each: their sum in bfloat16 would stop near 2,000."""
    generator = keyed.generator(2)
    states = torch.randn(64, 256, 32, generator=generator).bfloat16().requires_grad_()
    weight = (0.1 * torch.randn(4096, 32, generator=generator)).requires_grad_()
    target = torch.randint(4096, (64, 256), generator=generator)
    found = losses.word_cross_entropy(states, target, weight, ignore_index=0).value()
    (own,) = torch.autograd.grad(found, weight)
    logits = functional.linear(states.detach().float(), weight)
    meant = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=0)
    (true,) = torch.autograd.grad(meant, weight)
    torch.testing.assert_close(found, meant, rtol=1e-3, atol=0)
    assert (own - true).norm() < 0.01 * true.norm()


@pytest.mark.parametrize("ignored", [-100, -1, 255])
def test_an_ignored_target_may_be_any_number(ignored):
    """255 is what label pictures use, and is no class to look up a weight by."""
    logits, target = _made(CASES["cross_entropy"])
    target[::3] = ignored
    kept = target != ignored
    weight = torch.tensor([0.2, 1.0, 3.0, 0.5], dtype=torch.float64)
    loss = losses.cross_entropy(logits, target, weight=weight, ignore_index=ignored)
    torch.testing.assert_close(loss.value(), losses.cross_entropy(logits[kept], target[kept], weight=weight).value())
    nothing = losses.cross_entropy(logits, torch.full_like(target, ignored), ignore_index=ignored).value()
    nothing.backward()
    assert nothing.item() == 0
    assert logits.grad.abs().sum() == 0


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "hinge", "dice"])
def test_class_numbers_of_any_integer_kind(name, dtype):
    logits, target = _made(CASES[name])
    loss = getattr(losses, name)
    torch.testing.assert_close(loss(logits, target.to(dtype)).value(), loss(logits, target).value())


def test_quantiles_are_found():
    """The constant that the pinball loss likes best is the sample's own quantile."""
    target = torch.randn(999, generator=keyed.generator(4)).sort().values
    q = (0.1, 0.5, 0.9)
    prediction = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([prediction], lr=0.5)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.5 * (1 - step / 300)
        optimizer.zero_grad()
        losses.quantile(prediction.expand(999, 3), target, q).value().backward()
        optimizer.step()
    assert prediction.tolist() == pytest.approx([target[int(999 * one)].item() for one in q], abs=0.03)


@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
def test_arcface_falls_with_the_angle_all_the_way(margin):
    """The own logit knows no way back: from 0 to π it asks for a smaller angle."""
    angle = torch.linspace(0.01, torch.pi - 0.01, 200, dtype=torch.float64)
    embedding, centres = torch.stack([angle.cos(), angle.sin()], 1), torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double()
    target = torch.zeros(1, dtype=torch.int64)
    lost = torch.stack([losses.arcface(one[None], target, centres, margin, 4.0).value() for one in embedding])
    own = 4 * embedding @ centres[1] - torch.log(torch.expm1(lost))  # of two logits, the one that the loss leaves
    assert (own.diff() < 0).all()


def test_arcface_moves_its_centres():
    embedding, target = _near(CENTRES)(9, keyed.generator(2))
    one, other = CENTRES.clone().requires_grad_(), CENTRES.clone().requires_grad_()
    losses.arcface(embedding, target, one, scale=8.0).value().backward()
    reference.arcface(embedding, target, other, scale=8.0).backward()
    torch.testing.assert_close(one.grad, other.grad)


def test_arcface_without_a_margin_is_cross_entropy_of_cosines():
    embedding, target = _near(CENTRES)(9, keyed.generator(2))
    rows, places = (torch.nn.functional.normalize(each, dim=1) for each in (embedding, CENTRES))
    expected = losses.cross_entropy(5 * rows @ places.T, target).value()
    torch.testing.assert_close(losses.arcface(5 * embedding, target, 3 * CENTRES, 0.0, 5.0).value(), expected)


def test_a_batch_without_pairs_teaches_no_triplet():
    embedding = torch.randn(4, 3, requires_grad=True)
    for target in (torch.arange(4), torch.zeros(4).long()):
        value = losses.semi_hard_triplet(embedding, target).value()
        value.backward()
        assert value.item() == 0
        assert embedding.grad.abs().sum() == 0


ONE, COLUMN = torch.randn(6), torch.randn(6, 1)
WRONG = {
    "mse": (lambda: losses.mse(ONE, COLUMN), r"prediction \(6,\) and target \(6, 1\) .*view_as\(prediction\)"),
    "mae": (lambda: losses.mae(COLUMN, ONE), r"prediction \(6, 1\) and target \(6,\)"),
    "huber": (lambda: losses.huber(ONE, COLUMN), "must have the same shape"),
    "quantile": (lambda: losses.quantile(ONE, ONE, (0.5,)), r"the prediction must be \(6, 1\), not \(6,\)"),
    "binary_cross_entropy": (lambda: losses.binary_cross_entropy(COLUMN, ONE), "must have the same shape"),
    "binary_hinge": (lambda: losses.binary_hinge(COLUMN, ONE), "must have the same shape"),
    "kl": (lambda: losses.kl(torch.randn(6, 3), torch.rand(6, 1)), "must have the same shape"),
    "cosine": (lambda: losses.cosine(torch.randn(6, 3), torch.randn(1, 3)), "must have the same shape"),
    "info_nce": (lambda: losses.info_nce(torch.randn(6, 3), torch.randn(5, 3)), "must have the same shape"),
    "triplet": (lambda: losses.triplet(*torch.randn(2, 6, 3), torch.randn(1, 3)), "must have the same shape"),
    "semi_hard_triplet": (
        lambda: losses.semi_hard_triplet(torch.randn(6, 3), torch.zeros(6, 1).long()),
        r"one class number for each of 6, not \(6, 1\)",
    ),
    "arcface": (
        lambda: losses.arcface(torch.randn(6, 3), torch.zeros(5).long(), torch.randn(4, 3)),
        r"at each of \(6,\), not \(5,\)",
    ),
    "word_cross_entropy": (
        lambda: losses.word_cross_entropy(torch.randn(2, 3, 5), torch.zeros(2, 4).long(), torch.randn(7, 5)),
        r"one word for every state, \(2, 3\)",
    ),
    "contrastive": (
        lambda: losses.contrastive(*torch.randn(2, 6, 3), torch.ones(6, 1)),
        r"pairs .*\[6\], not \[6, 1\]",
    ),
    "cross_entropy": (lambda: losses.cross_entropy(torch.randn(6, 3), torch.zeros(6, 1).long()), r"squeeze\(1\)"),
    "hinge": (lambda: losses.hinge(torch.randn(6, 3), torch.zeros(6, 3).long()), r"not \(6, 3\).*argmax\(1\)"),
    "focal": (lambda: losses.focal(torch.randn(6, 3), torch.zeros(5).long()), r"at each of \(6,\), not \(5,\)"),
    "dice": (
        lambda: losses.dice(torch.randn(5, 3, 5, 3), torch.zeros(5).long()),
        r"at each of \(5, 5, 3\), not \(5,\)",
    ),
    "sample_dice": (
        lambda: losses.sample_dice(torch.randn(5, 3, 5, 3), torch.zeros(5).long()),
        r"at each of \(5, 5, 3\), not \(5,\)",
    ),
}


@pytest.mark.parametrize("name", losses.__all__)
def test_shapes_that_do_not_fit_are_refused(name, monkeypatch):
    """By the loss itself: outside the tests no one checks the shapes in its signature."""
    import jaxtyping

    call, message = WRONG[name]
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        call()

"""Every loss against a formula in float64, forward and gradient; and what it refuses."""

import pytest
import torch
from torch.nn import functional

from descend import losses
from descend.functional import keyed

N, C = 12, 4
G = keyed.generator(1)
LOGITS = torch.randn(N, C, generator=G, dtype=torch.float64)
TARGET = torch.randint(0, C, (N,), generator=G)
NUMBERS, TRUTH = torch.randn(2, N, 3, generator=G, dtype=torch.float64)
YES = torch.randint(0, 2, (N, 3), generator=G).double()
A, B, OTHER = torch.randn(3, N, 5, generator=G, dtype=torch.float64)
WEIGHT = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
SHARES = torch.softmax(torch.randn(N, C, generator=G, dtype=torch.float64), 1)
PAIRS = torch.randint(0, 2, (N,), generator=G).double()
Q = (0.1, 0.5, 0.8)
LEVELS = torch.randn(N, 3, 3, generator=G, dtype=torch.float64)


def _logs(x):
    return x - torch.logsumexp(x, 1, keepdim=True)


def _cross_entropy(x, weight=None, smoothing=0.0, ignored=()):
    total, count = 0.0, 0.0
    w = torch.ones(C, dtype=torch.float64) if weight is None else weight
    for i in range(N):
        if i not in ignored:
            logs = _logs(x)[i]
            total = total - (1 - smoothing) * w[TARGET[i]] * logs[TARGET[i]] - smoothing / C * (w * logs).sum()
            count += w[TARGET[i]]
    return total / count


def _hinge(x):
    values = []
    for i in range(N):
        wrong = torch.stack([x[i, j] for j in range(C) if j != TARGET[i]]).max()
        values.append((1 + wrong - x[i, TARGET[i]]).clamp(min=0))
    return torch.stack(values).mean()


def _dice(x):
    p, y = torch.softmax(x, 1), functional.one_hot(TARGET, C).double()
    return torch.stack(
        [1 - (2 * (p[:, c] * y[:, c]).sum() + 1) / (p[:, c].sum() + y[:, c].sum() + 1) for c in range(C)]
    ).mean()


def _info_nce(x):
    z = torch.cat([x, B])
    z = z / z.norm(dim=1, keepdim=True)
    values = []
    for i in range(2 * N):
        others = torch.stack([torch.exp(z[i] @ z[j] / 0.5) for j in range(2 * N) if j != i])
        values.append(-torch.log(torch.exp(z[i] @ z[(i + N) % (2 * N)] / 0.5) / others.sum()))
    return torch.stack(values).mean()


def _pinball(x):
    values = [
        torch.where(TRUTH[..., None] > x, q * (TRUTH[..., None] - x), (1 - q) * (x - TRUTH[..., None]))[..., i]
        for i, q in enumerate(Q)
    ]
    return torch.stack(values).mean()


IGNORED = TARGET.clone()
IGNORED[:5] = -100
SIGMOID = torch.sigmoid

CASES = {
    "cross_entropy": (LOGITS, lambda x: losses.cross_entropy(x, TARGET), _cross_entropy),
    "smoothed": (
        LOGITS,
        lambda x: losses.cross_entropy(x, TARGET, label_smoothing=0.2),
        lambda x: _cross_entropy(x, smoothing=0.2),
    ),
    "weighted": (LOGITS, lambda x: losses.cross_entropy(x, TARGET, weight=WEIGHT), lambda x: _cross_entropy(x, WEIGHT)),
    "ignoring": (
        LOGITS,
        lambda x: losses.cross_entropy(x, IGNORED, weight=WEIGHT),
        lambda x: _cross_entropy(x, WEIGHT, ignored=range(5)),
    ),
    "binary": (
        NUMBERS,
        lambda x: losses.binary_cross_entropy(x, YES),
        lambda x: -(YES * SIGMOID(x).log() + (1 - YES) * (1 - SIGMOID(x)).log()).mean(),
    ),
    "binary weighted": (
        NUMBERS,
        lambda x: losses.binary_cross_entropy(x, YES, pos_weight=WEIGHT[:3]),
        lambda x: -(WEIGHT[:3] * YES * SIGMOID(x).log() + (1 - YES) * (1 - SIGMOID(x)).log()).mean(),
    ),
    "binary smoothed": (
        NUMBERS,
        lambda x: losses.binary_cross_entropy(x, YES, label_smoothing=0.2),
        lambda x: -((0.8 * YES + 0.1) * SIGMOID(x).log() + (0.9 - 0.8 * YES) * (1 - SIGMOID(x)).log()).mean(),
    ),
    "hinge": (LOGITS, lambda x: losses.hinge(x, TARGET), _hinge),
    "binary_hinge": (
        NUMBERS,
        lambda x: losses.binary_hinge(x, 2 * YES - 1),
        lambda x: (1 - (2 * YES - 1) * x).clamp(min=0).mean(),
    ),
    "focal": (
        LOGITS,
        lambda x: losses.focal(x, TARGET, 1.5, WEIGHT),
        lambda x: (-WEIGHT[TARGET] * (1 - _logs(x).exp()[range(N), TARGET]) ** 1.5 * _logs(x)[range(N), TARGET]).mean(),
    ),
    "kl": (LOGITS, lambda x: losses.kl(x, SHARES), lambda x: (SHARES * (SHARES.log() - _logs(x))).sum(1).mean()),
    "dice": (LOGITS, lambda x: losses.dice(x, TARGET), _dice),
    "mse": (NUMBERS, lambda x: losses.mse(x, TRUTH), lambda x: ((x - TRUTH) ** 2).mean()),
    "mae": (NUMBERS, lambda x: losses.mae(x, TRUTH), lambda x: torch.where(x > TRUTH, x - TRUTH, TRUTH - x).mean()),
    "huber": (
        NUMBERS,
        lambda x: losses.huber(x, TRUTH, 0.7),
        lambda x: torch.where((x - TRUTH).abs() < 0.7, (x - TRUTH) ** 2 / 2, 0.7 * ((x - TRUTH).abs() - 0.35)).mean(),
    ),
    "quantile": (LEVELS, lambda x: losses.quantile(x, TRUTH, Q), _pinball),
    "cosine": (
        A,
        lambda x: losses.cosine(x, B),
        lambda x: (1 - (x * B).sum(1) / (x.norm(dim=1) * B.norm(dim=1))).mean(),
    ),
    "triplet": (
        A,
        lambda x: losses.triplet(x, B, OTHER, 2.0),
        lambda x: ((x - B).norm(dim=1) - (x - OTHER).norm(dim=1) + 2).clamp(min=0).mean(),
    ),
    "contrastive": (
        A,
        lambda x: losses.contrastive(x, B, PAIRS, 3.0),
        lambda x: (
            PAIRS / 2 * ((x - B) ** 2).sum(1) + (1 - PAIRS) / 2 * (3 - (x - B).norm(dim=1)).clamp(min=0) ** 2
        ).mean(),
    ),
    "info_nce": (A, lambda x: losses.info_nce(x, B, 0.5), _info_nce),
}


def test_every_loss_has_a_formula():
    assert set(losses.__all__) <= set(CASES) | {"binary_cross_entropy"}


@pytest.mark.parametrize("name", CASES)
def test_forward_and_gradient(name):
    inputs, loss, formula = CASES[name]
    one, other = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
    value, expected = loss(one).value(), formula(other)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    value.backward()
    expected.backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("dice", "info_nce")])
def test_what_does_not_couple_samples_says_so(name):
    inputs, loss, _ = CASES[name]
    assert not loss(inputs).coupled


def test_what_couples_samples_says_so():
    assert losses.dice(LOGITS, TARGET).coupled
    assert losses.info_nce(A, B).coupled


def test_nothing_but_ignored_targets_teaches_nothing():
    logits = LOGITS.clone().requires_grad_()
    value = losses.cross_entropy(logits, torch.full((N,), -100)).value()
    value.backward()
    assert value == 0
    assert logits.grad.abs().sum() == 0


def test_places_count_each():
    logits, target = torch.randn(2, C, 3, 5), torch.randint(0, C, (2, 3, 5))
    assert losses.cross_entropy(logits, target).counts.tolist() == [30]
    torch.testing.assert_close(losses.cross_entropy(logits, target).value(), functional.cross_entropy(logits, target))


@pytest.mark.parametrize("loss", [losses.mse, losses.mae, losses.huber, losses.binary_cross_entropy])
def test_shapes_that_would_broadcast_are_refused(loss):
    import jaxtyping

    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
        loss(torch.randn(4), torch.rand(4, 1))


def test_the_refusal_says_what_to_do():
    from descend.losses.shapes import same_shape

    with pytest.raises(ValueError, match=r"prediction \(4,\) and target \(4, 1\) must have the same shape: reshape"):
        same_shape(torch.randn(4), torch.randn(4, 1))

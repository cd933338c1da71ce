"""Every loss as its paper writes it, one sample at a time, from exp, log and sums alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def _softmax(row: Tensor) -> Tensor:
    return torch.exp(row - row.max()) / torch.exp(row - row.max()).sum()


def _rows(logits: Tensor, target: Tensor) -> list[tuple[Tensor, int]]:
    """(numbers a class, class) of every place of every sample."""
    flat = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    return list(zip(flat, target.reshape(-1).tolist(), strict=True))


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum().sqrt()


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
) -> Tensor:
    """Szegedy et al. 2016: the target is (1-ε)·one-hot + ε/K; a class's weight multiplies its own term."""
    total, count = logits.new_zeros(()), 0.0
    classes = logits.shape[1]
    if target.is_floating_point():  # a share for each class
        for row, shares in zip(logits, target, strict=True):
            logs = torch.log(_softmax(row))
            for k in range(classes):
                total = total - ((1 - label_smoothing) * shares[k] + label_smoothing / classes) * logs[k]
        return total / len(logits)
    weights = [1.0] * classes if weight is None else weight.tolist()
    for row, y in _rows(logits, target):
        if y == ignore_index:
            continue
        logs = torch.log(_softmax(row))
        for k in range(classes):
            share = (1 - label_smoothing) * (k == y) + label_smoothing / classes
            total = total - share * weights[k] * logs[k]
        count += weights[y]
    return total / count


def word_cross_entropy(
    states: Tensor,
    target: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    cap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
) -> Tensor:
    """Of every word on its own: z = W·h + b, with a cap c·tanh(z/c)."""
    rows = []
    for state in states.flatten(0, 1):
        z = torch.stack([(row * state).sum() for row in weight])
        z = z if bias is None else z + bias
        rows.append(z if cap is None else cap * torch.tanh(z / cap))
    return cross_entropy(torch.stack(rows), target.flatten(), None, label_smoothing, ignore_index)


def binary_cross_entropy(
    logits: Tensor, target: Tensor, pos_weight: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    p = 1 / (1 + torch.exp(-logits))
    y = target * (1 - label_smoothing) + label_smoothing / 2
    yes = 1.0 if pos_weight is None else pos_weight
    return -(yes * y * torch.log(p) + (1 - y) * torch.log(1 - p)).sum() / logits.numel()


def hinge(scores: Tensor, target: Tensor, margin: float = 1.0) -> Tensor:
    """Crammer and Singer 2001: max over j of s_j + margin·[j ≠ y], less s_y."""
    values = []
    for row, y in _rows(scores, target):
        values.append(torch.stack([row[j] + (margin if j != y else 0.0) for j in range(len(row))]).max() - row[y])
    return torch.stack(values).mean()


def binary_hinge(scores: Tensor, target: Tensor, margin: float = 1.0) -> Tensor:
    gaps = margin - target * scores
    return torch.where(gaps > 0, gaps, 0.0).mean()


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0, weight: Tensor | None = None) -> Tensor:
    """Lin et al. 2017, eq. 5: -α_t (1 - p_t)^γ log p_t."""
    values = []
    for row, y in _rows(logits, target):
        p = _softmax(row)[y]
        values.append(-(1.0 if weight is None else weight[y]) * (1 - p) ** gamma * torch.log(p))
    return torch.stack(values).mean()


def kl(logits: Tensor, target: Tensor) -> Tensor:
    total = logits.new_zeros(())
    for row, t in zip(logits, target, strict=True):
        p = _softmax(row)
        for k in range(len(row)):
            if t[k] > 0:
                total = total + t[k] * (torch.log(t[k]) - torch.log(p[k]))
    return total / len(logits)


def dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    values = []
    rows = _rows(logits, target)
    for k in range(logits.shape[1]):
        both = sum(_softmax(row)[k] for row, y in rows if y == k)
        ours = sum(_softmax(row)[k] for row, _ in rows)
        theirs = sum(1 for _, y in rows if y == k)
        values.append(1 - (2 * both + smooth) / (ours + theirs + smooth))
    return torch.stack(values).mean()


def sample_dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    return torch.stack([dice(logits[i : i + 1], target[i : i + 1], smooth) for i in range(len(logits))]).mean()


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction - target) ** 2).sum() / prediction.numel()


def mae(prediction: Tensor, target: Tensor) -> Tensor:
    gap = prediction - target
    return torch.where(gap > 0, gap, -gap).sum() / prediction.numel()


def huber(prediction: Tensor, target: Tensor, delta: float = 1.0) -> Tensor:
    gap = prediction - target
    far = torch.where(gap > 0, gap, -gap)
    return torch.where(far <= delta, gap**2 / 2, delta * (far - delta / 2)).mean()


def quantile(prediction: Tensor, target: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Koenker and Bassett 1978: q of what lies above, 1 - q of what lies below."""
    values = []
    for place, q in enumerate(quantiles):
        above = target - prediction[..., place]
        values.append(torch.where(above > 0, q * above, (q - 1) * above))
    return torch.stack(values).mean()


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([1 - (x @ y) / ((x @ x) * (y @ y)).sqrt() for x, y in zip(a, b, strict=True)]).mean()


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0) -> Tensor:
    values = []
    for a, p, n in zip(anchor, positive, negative, strict=True):
        value = _distance(a, p) - _distance(a, n) + margin
        values.append(value if value > 0 else value * 0)
    return torch.stack(values).mean()


def semi_hard_triplet(embedding: Tensor, target: Tensor, margin: float = 0.2) -> Tensor:
    """Schroff et al. 2015, section 3.2, over every pair of one class."""
    values, labels = [], target.tolist()
    for a, x in enumerate(embedding):
        away = [_distance(x, z) if labels[k] != labels[a] else None for k, z in enumerate(embedding)]
        others = [k for k in range(len(embedding)) if away[k] is not None]
        for p, y in enumerate(embedding):
            if p == a or labels[p] != labels[a] or not others:
                continue
            farther = [k for k in others if away[k] > _distance(x, y)]
            n = min(farther, key=lambda k: away[k]) if farther else max(others, key=lambda k: away[k])
            value = _distance(x, y) - away[n] + margin
            values.append(value if value > 0 else value * 0)
    return torch.stack(values).mean()


def arcface(
    embedding: Tensor, target: Tensor, centres: Tensor, margin: float = 0.5, scale: float = 64.0
) -> Tensor:
    """Deng et al. 2019, eq. 3, with the angles themselves."""
    values = []
    for x, y in zip(embedding, target.tolist(), strict=True):
        logits = []
        for k, centre in enumerate(centres):
            angle = torch.acos((x @ centre) / ((x @ x) * (centre @ centre)).sqrt())
            if k == y:
                angle = angle + margin
            logits.append(scale * (torch.cos(angle) if angle <= math.pi else -2 - torch.cos(angle)))
        values.append(-torch.log(_softmax(torch.stack(logits))[y]))
    return torch.stack(values).mean()


def contrastive(a: Tensor, b: Tensor, alike: Tensor, margin: float = 1.0) -> Tensor:
    """Hadsell et al. 2006, eq. 4, with Y = 1 - alike."""
    values = []
    for x, y, s in zip(a, b, alike, strict=True):
        d = _distance(x, y)
        gap = margin - d
        values.append(s / 2 * d**2 + (1 - s) / 2 * (gap**2 if gap > 0 else gap * 0))
    return torch.stack(values).mean()


def info_nce(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    """Chen et al. 2020, eq. 1, over all 2·batch views."""
    views = [*a, *b]
    count = len(a)
    values = []
    for i, one in enumerate(views):
        size = math.e ** torch.stack([(one @ v) / ((one @ one) * (v @ v)).sqrt() / temperature for v in views])
        rest = sum(size[k] for k in range(2 * count) if k != i)
        values.append(-torch.log(size[(i + count) % (2 * count)] / rest))
    return torch.stack(values).mean()

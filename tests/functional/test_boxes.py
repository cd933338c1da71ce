"""Boxes against loops in plain Python."""

import pytest
import torch

from descend.functional import keyed
from descend.functional.boxes import area, corners, giou, iou, middles, nms


def drawn(n, key=0):
    """Boxes of all kinds: near, far, inside each other, touching."""
    first = torch.randint(0, 20, (n, 2), generator=keyed.generator(key, 0)).double()
    return torch.cat([first, first + torch.randint(1, 12, (n, 2), generator=keyed.generator(key, 1))], 1)


def plain(a, b):
    """IoU and GIoU of two boxes."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(wide, 0) * max(high, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    around = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return common / union, common / union - (around - union) / around


def test_overlaps_are_those_of_a_loop():
    a, b = drawn(30), drawn(20, 1)
    expected = torch.tensor([[plain(x, y) for y in b.tolist()] for x in a.tolist()], dtype=torch.float64)
    torch.testing.assert_close(iou(a[:, None], b), expected[..., 0])
    torch.testing.assert_close(giou(a[:, None], b), expected[..., 1])
    assert area(a).tolist() == [(x[2] - x[0]) * (x[3] - x[1]) for x in a.tolist()]


def test_the_gradient_is_that_of_differences():
    a, b = drawn(6) + 0.25, drawn(6, 1)
    assert torch.autograd.gradcheck(lambda x: giou(x, b), a.requires_grad_())


def test_boxes_without_area_overlap_nothing_and_hurt_nothing():
    point = torch.tensor([[3.0, 3, 3, 3]], requires_grad=True)
    assert iou(point, point).item() == 0
    for other in (point.detach(), torch.tensor([[0.0, 0, 9, 9]])):
        (gradient,) = torch.autograd.grad(giou(point, other).sum(), point)
        assert gradient.isfinite().all()


def test_corners_and_middles_undo_each_other():
    boxes = drawn(10)
    torch.testing.assert_close(corners(middles(boxes)), boxes)
    assert middles(torch.tensor([0.0, 2, 4, 8])).tolist() == [2, 5, 4, 6]


def suppressed(boxes, scores, labels, most):
    """The same by two loops."""
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(labels[i] != labels[j] or plain(boxes[i], boxes[j])[0] <= most for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("most", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kinds", [1, 3])
def test_suppression_is_that_of_a_loop(most, kinds):
    boxes = drawn(60, 2)
    scores = torch.rand(60, generator=keyed.generator(3))
    labels = torch.randint(kinds, (60,), generator=keyed.generator(4))
    expected = suppressed(boxes.tolist(), scores.tolist(), labels.tolist(), most)
    assert nms(boxes, scores, labels, most).tolist() == expected
    if kinds == 1:
        assert nms(boxes, scores, most=most).tolist() == expected


def test_of_equal_scores_the_first_stays_and_nothing_is_nothing():
    box = torch.tensor([[0.0, 0, 4, 4]])
    assert nms(box.repeat(3, 1), torch.full((3,), 0.5)).tolist() == [0]
    assert nms(torch.zeros(0, 4), torch.zeros(0)).tolist() == []

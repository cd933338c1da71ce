"""Average precision by hand, and against COCO's own code."""

import contextlib
import io

import pytest
import torch

from descend.functional import keyed
from descend.metrics import AveragePrecision, MeanAveragePrecision


def rows(*answers):
    """Answers about one picture: left, top, right, bottom, confidence, class."""
    return torch.tensor(answers, dtype=torch.float32).view(1, -1, 6)


def test_a_case_worked_by_hand():
    """Two things and three answers, right, wrong, right by falling confidence: precision is 1 up to a recall of ½ and
    ⅔ up to 1, so the mean over the recalls 0, 0.01, …, 1 is (51 · 1 + 50 · ⅔) / 101."""
    metric = AveragePrecision(2)
    boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 0, 0]]])
    target = torch.tensor([[0, 0, -1]])
    found = rows((0, 0, 10, 10, 0.9, 0), (50, 50, 60, 60, 0.8, 0), (20, 20, 30, 29, 0.7, 0), (0, 0, 0, 0, 0, 0))
    metric.update(found, boxes, target)
    assert metric.compute().tolist() == pytest.approx([(51 + 50 * 2 / 3) / 101, -1])


def test_a_thing_is_found_once_and_by_its_own_class():
    boxes, target = torch.tensor([[[0.0, 0, 10, 10]]]), torch.tensor([[1]])
    twice = AveragePrecision(2)
    twice.update(rows((0, 0, 10, 9, 0.9, 1), (0, 0, 10, 10, 0.8, 1)), boxes, target)
    assert twice.compute()[1] == pytest.approx(1)  # the second is false, but all is found by then
    other = AveragePrecision(2)
    other.update(rows((0, 0, 10, 10, 0.9, 0)), boxes, target)
    assert other.compute().tolist() == [-1, 0]


def test_nothing_there_and_nothing_found():
    metric = MeanAveragePrecision(3)
    metric.update(torch.zeros(2, 4, 6), torch.zeros(2, 1, 4), torch.full((2, 1), -1))
    assert metric.compute() == 0


def _made(n=12, classes=3):
    """Pictures whose answers are some of the truth, moved, and some inventions."""
    draw = keyed.generator(5)

    def uniform(*shape):
        return torch.rand(*shape, generator=draw)

    first = uniform(n, 6, 2) * 60
    boxes = torch.cat([first, first + 10 + uniform(n, 6, 2) * 30], 2)
    target = torch.randint(-1, classes, (n, 6), generator=draw)
    moved = boxes.repeat(1, 2, 1) + uniform(n, 12, 4) * 8 - 4
    told = torch.where(uniform(n, 12) < 0.2, torch.randint(classes, (n, 12), generator=draw), target.repeat(1, 2))
    sure = uniform(n, 12) * (uniform(n, 12) < 0.8)
    return torch.cat([moved, sure[..., None], told.clamp(min=0)[..., None]], 2), boxes, target


@pytest.mark.parametrize("least", [0.5, 0.75])
def test_it_is_cocos(least):
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    found, boxes, target = _made()
    metric = AveragePrecision(3, least)
    for part in (slice(0, 5), slice(5, 12)):
        metric.update(found[part], boxes[part], target[part])
    truth = [
        {"id": 0, "image_id": i, "category_id": int(k), "bbox": _wide(box), "area": 400, "iscrowd": 0}
        for i in range(len(boxes))
        for box, k in zip(boxes[i], target[i], strict=True)
        if k >= 0
    ]
    answers = [
        {"image_id": i, "category_id": int(row[5]), "bbox": _wide(row[:4]), "score": float(row[4])}
        for i in range(len(found))
        for row in found[i]
        if row[4] > 0
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        given = coco.COCO()
        given.dataset = {
            "images": [{"id": i} for i in range(len(boxes))],
            "categories": [{"id": i} for i in range(3)],
            "annotations": [{**each, "id": number + 1} for number, each in enumerate(truth)],
        }
        given.createIndex()
        judge = COCOeval(given, given.loadRes(answers), "bbox")
        judge.params.iouThrs = judge.params.iouThrs[[0 if least == 0.5 else 5]]
        judge.evaluate()
        judge.accumulate()
    expected = judge.eval["precision"][0, :, :, 0, 2].mean(0)
    torch.testing.assert_close(metric.compute().double(), torch.from_numpy(expected), rtol=1e-5, atol=1e-5)


def _wide(box):
    left, top, right, bottom = box[:4].tolist()
    return [left, top, right - left, bottom - top]

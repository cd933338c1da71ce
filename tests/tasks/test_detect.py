"""Detection: who learns what, against search and by hand; and that both ways learn."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from descend.data import Batch, BoxCodec, Loader, Tensors
from descend.engine import Predictor, evaluate, fit, load
from descend.functional import keyed
from descend.functional.boxes import corners
from descend.models import DETR, FCOS, AnchoredQueries, Backbone, DenoisingQueries, LearnedQueries, ResNet, Truth
from descend.models.vision.detr import truth_of
from descend.nn import GroupNorm, PreNorm, SinusoidalGrid
from descend.optim import AdamW, Muon, OneCycle
from descend.tasks import Dense, Detect, Sets
from descend.tasks.detect.sets import match


def squares(n, size=32, key=0):
    """Bright and dark squares on grey: none to three in a picture."""
    draw = keyed.generator(key)
    x, boxes, target = torch.full((n, 1, size, size), 0.0), torch.zeros(n, 3, 4), torch.full((n, 3), -1)
    for row in range(n):
        for thing in range(int(torch.randint(0, 4, (), generator=draw))):
            side = int(torch.randint(6, 13, (), generator=draw))
            left, top = torch.randint(0, size - side, (2,), generator=draw).tolist()
            kind = int(torch.randint(2, (), generator=draw))
            x[row, 0, top : top + side, left : left + side] = (1.0, -1.0)[kind]
            boxes[row, thing] = torch.tensor([left, top, left + side, top + side])
            target[row, thing] = kind
    x += 0.1 * torch.randn(x.shape, generator=draw)
    return Tensors(x=x, boxes=boxes, target=target)


def backbone(after=(0, 1)):
    return Backbone(ResNet(1, 1, (1, 1, 1), (8, 16, 16), GroupNorm(4)), after)


def dense():
    return FCOS(backbone((1, 2)), 2, 16, 1, GroupNorm(4))


def detr(queries):
    return DETR(backbone((2,)), 2, queries, SinusoidalGrid(queries.width, 20.0, 8.0), 4, 1, 2, 32, PreNorm(), 0.0)


@pytest.mark.parametrize(("queries", "things"), [(4, 3), (3, 3), (5, 2), (2, 3)])
def test_the_matching_costs_least_of_all(queries, things):
    for key in range(20):
        costs = torch.randn(1, queries, 4, generator=keyed.generator(key))
        target = torch.tensor([[0] * things + [-1] * (4 - things)])
        matched = match(costs, target)[0]
        cost = sum(costs[0, q, t].item() for q, t in enumerate(matched.tolist()) if t >= 0)
        if queries >= things:
            ways = itertools.permutations(range(queries), things)
            best = min(sum(costs[0, q, t].item() for t, q in enumerate(way)) for way in ways)
        else:
            ways = itertools.permutations(range(things), queries)
            best = min(sum(costs[0, q, t].item() for q, t in enumerate(way)) for way in ways)
        assert cost == pytest.approx(best, abs=1e-5)
        assert sorted(t for t in matched.tolist() if t >= 0) == sorted({t for t in matched.tolist() if t >= 0})
        assert (matched >= 0).sum() == min(queries, things)


def test_a_picture_without_a_thing_teaches_none_alone():
    model, way = detr(LearnedQueries(4, 16)), Sets()
    x, boxes, target = torch.randn(2, 1, 32, 32), torch.zeros(2, 3, 4), torch.full((2, 3), -1)
    terms = way.loss(way.outputs(model, x, boxes, target), boxes, target, (32, 32))
    assert terms["box"].value() == 0
    assert terms["overlap"].value() == 0
    terms["class"].value().backward()
    assert model.label.weight.grad.isfinite().all()
    places = dense()
    terms = Dense().loss(places(x), boxes, target, (32, 32))
    # As large as the sum over places, not that over nothing.
    assert all(float(term.value()) < 10 for term in terms.values())
    assert terms["overlap"].value() == 0


@pytest.mark.parametrize("way", ["dense", "sets", "denoising"])
def test_a_batch_may_be_split(way):
    """Totals and counts of the parts add up to those of the whole, whatever the pictures hold."""
    batch = squares(6).gather(torch.arange(6))
    # Without noise nothing hangs on what is drawn.
    noised = DenoisingQueries(2, 2, 16, 2, shift=0.0, flip=0.0)
    queries = noised if way == "denoising" else AnchoredQueries(2, 2, 16)
    model, learn = (dense(), Dense()) if way == "dense" else (detr(queries), Sets())
    model.train()

    def terms(part):
        outputs = learn.outputs(model, part["x"], part["boxes"], part["target"])
        return learn.loss(outputs, part["boxes"], part["target"], (32, 32))

    whole, parts = terms(batch), [terms(part) for part in batch.split(3)]
    assert ("mended_box" in whole) == (way == "denoising")
    for name, mean in whole.items():
        torch.testing.assert_close(mean.totals, sum(part[name].totals for part in parts), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(mean.counts, sum(part[name].counts for part in parts))


def test_what_is_mended_is_the_own_thing_of_each_group():
    """Without noise a true box begins as itself, and the box head with small corrections."""
    batch, learn = squares(6).gather(torch.arange(6)), Sets(layers=False)
    model = detr(DenoisingQueries(2, 2, 16, 2, groups=3, shift=0.0, flip=0.0))
    outputs = learn.outputs(model, batch["x"], batch["boxes"], batch["target"])
    terms = learn.loss(outputs, batch["boxes"], batch["target"], (32, 32))
    assert float(terms["mended_box"].value()) < 0.2  # five times the four numbers' distance
    assert terms["mended_box"].counts == 3 * (batch["target"] >= 0).sum()
    other = learn.loss(outputs, batch["boxes"].flip(0), batch["target"].flip(0), (32, 32))
    assert float(other["mended_box"].value()) > 1


def test_classes_that_the_model_does_not_know_are_refused():
    batch = squares(6).gather(torch.arange(6))
    strange = Batch({**batch, "target": batch["target"] + (batch["target"] == 1)})
    for model, learn in ((dense(), Dense()), (detr(AnchoredQueries(2, 2, 16)), Sets())):
        with pytest.raises(ValueError, match="a thing is of class 2, and the model knows 0 … 1"):
            Detect(model, learn, AdamW(1e-3)).loss(strange)
    with pytest.raises(ValueError, match="told of 3 classes, and 2 are to be answered"):
        detr(DenoisingQueries(2, 2, 16, 3))


def test_what_has_no_area_is_not_asked_for():
    task = Detect(dense(), Dense(), AdamW(1e-3))
    data = squares(8)
    flat = data.tensors["boxes"].clone()
    flat[:, :, 3] = flat[:, :, 1]
    metrics = task.metrics()
    task.evaluate(Batch({**data.tensors, "boxes": flat}), metrics)
    assert math.isnan(metrics["map50"].compute()) or metrics["map50"].compute() == 0
    none, same = task.metrics(), Batch({**data.tensors, "target": torch.full((8, 3), -1)})
    task.evaluate(same, none)
    torch.testing.assert_close(metrics["map50"].compute(), none["map50"].compute(), equal_nan=True)


@pytest.mark.parametrize("strides", [(4.0, 16.0), (4.0, 8.0, 16.0)])
def test_a_thing_of_any_size_has_places(strides):
    points = [torch.cartesian_prod(*[torch.arange(stride / 2, 128, stride)] * 2) for stride in strides]
    of_each = torch.cat([torch.full((len(part),), stride) for part, stride in zip(points, strides, strict=True)])
    for side in range(8, 120, 8):
        boxes = torch.tensor([[[2.0, 2, 2 + side, 2 + side]]])
        assert (Dense().assign(torch.cat(points), of_each, boxes, torch.tensor([[0]])) == 0).any(), side


def test_places_belong_to_the_smallest_thing_around_them_on_the_right_map():
    """A small thing inside a large one, two maps of strides 4 and 8, and radius and reach of whole numbers."""
    way = Dense(radius=1.0, reach=4.0)
    points = torch.tensor([[18.0, 18], [30.0, 18], [2.0, 2], [20.0, 20], [12.0, 12]])
    strides = torch.tensor([4.0, 4, 4, 8, 8])
    boxes = torch.tensor([[[12.0, 12, 24, 24], [0, 0, 36, 36], [0, 0, 0, 0]]])
    target = torch.tensor([[1, 0, -1]])
    # (18, 18): the middle of both; the large one's edges are 18 away, more than 4 · 4. (30, 18) is far from any middle.
    # (20, 20) on the coarse map: 20 away from the large one's edges, between 2 · 8 and 4 · 8; the small one's are 8.
    assert way.assign(points, strides, boxes, target).tolist() == [[0, -1, -1, 1, 1]]


def test_focal_loss_is_the_papers():
    logits, target = torch.tensor([[0.3], [-1.2]]), torch.tensor([[1.0], [0.0]])
    p = torch.sigmoid(logits)
    expected = [-0.25 * (1 - p[0]) ** 2 * p[0].log(), -0.75 * p[1] ** 2 * (1 - p[1]).log()]
    torch.testing.assert_close(Dense()._focal(logits, target), torch.stack(expected))


def test_what_was_moved_out_of_the_picture_is_not_learned():
    task = Detect(detr(AnchoredQueries(2, 2, 16)), Sets(), AdamW(1e-3))
    batch = squares(4).gather(torch.arange(4))
    gone = Batch({**batch, "boxes": torch.zeros_like(batch["boxes"])})
    none = Batch({**gone, "target": torch.full_like(batch["target"], -1)})
    for name, mean in task.loss(gone).items():
        torch.testing.assert_close(mean.value(), task.loss(none)[name].value())


def test_groups_of_noise_do_not_see_each_other_and_nobody_who_must_search_sees_them():
    queries = DenoisingQueries(1, 2, 16, 3, groups=2)
    truth = Truth(torch.rand(1, 2, 4) * 0.3 + 0.3, torch.tensor([[2, -1]]))
    asked = queries(truth)
    assert asked.noised == 4
    assert asked.content.shape == (1, 6, 16)
    seen = asked.mask[0, 0].int().tolist()
    assert seen == [
        [1, 1, 0, 0, 1, 1],
        [1, 1, 0, 0, 1, 1],
        [0, 0, 1, 1, 1, 1],
        [0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 1],
    ]
    near = asked.anchors.sigmoid()[0, [0, 2]] - truth.boxes[0, 0]
    assert 0 < near.abs().max() < 0.4 * 0.6 + 0.01
    assert queries.eval()(truth).noised == 0


def test_anchors_begin_all_over_the_picture():
    boxes = AnchoredQueries(2, 3, 16).anchors.sigmoid()
    assert boxes[:, 0].tolist() == pytest.approx([1 / 6, 3 / 6, 5 / 6] * 2)
    assert boxes[:, 1].tolist() == pytest.approx([1 / 4] * 3 + [3 / 4] * 3)


def test_a_layer_answers_for_its_own_correction_of_an_anchor():
    model = detr(AnchoredQueries(2, 2, 16)).eval()
    x = torch.randn(1, 1, 32, 32, generator=keyed.generator(1))
    first = model(x).boxes[0]
    torch.testing.assert_close(first[0], model.queries.anchors.sigmoid(), atol=0.01, rtol=0)  # they begin small


def test_answers_are_in_pixels_and_sorted():
    way = Sets()
    truth = truth_of(torch.tensor([[[8.0, 4, 24, 12], [0, 0, 0, 0]]]), torch.tensor([[1, -1]]), 16, 32)
    assert truth.boxes[0, 0].tolist() == [0.5, 0.5, 0.5, 0.5]
    assert truth.target.tolist() == [[1, -1]]
    pixels = corners(truth.boxes[0, 0]) * torch.tensor([32, 16, 32, 16])
    torch.testing.assert_close(pixels, torch.tensor([8.0, 4, 24, 12]))
    model = detr(LearnedQueries(5, 16)).eval()
    found = way.answers(model(torch.randn(3, 1, 16, 32)), (16, 32))
    assert found.shape == (3, 100, 6)
    assert (found[:, :5, 4].diff(dim=1) <= 0).all()
    assert (found[:, 5:] == 0).all()
    assert found[..., 2].max() <= 32
    assert found[..., 3].max() <= 16


def test_a_picture_smaller_than_the_stride_is_refused():
    with pytest.raises(ValueError, match="a picture of 2×32 is smaller than the coarsest stride, 4: scale it"):
        dense()(torch.zeros(1, 1, 2, 32))


@pytest.mark.parametrize("after", [(), (9,)])
def test_blocks_that_are_not_there_are_refused(after):
    with pytest.raises(ValueError, match=r"Backbone: ResNet has no blocks .*; it has 0 … 2"):
        backbone(after)


@pytest.mark.parametrize("way", ["dense", "sets"])
def test_a_detector_travels(way, tmp_path):
    codec = BoxCodec(32, 32, 1, labels=("bright", "dark"))
    model, learn = (dense(), Dense()) if way == "dense" else (detr(DenoisingQueries(2, 2, 16, 2)), Sets(box=4.0))
    predictor = Predictor(Detect(model, learn, AdamW(1e-3)), codec)
    other = load(predictor.save(tmp_path / "model"))
    x = torch.randn(2, 1, 32, 32, generator=keyed.generator(1))
    assert torch.equal(predictor.outputs(x=x), other.outputs(x=x))
    assert other.task.learn == learn
    assert set(other.predict(np.zeros((40, 50), np.uint8))) == {"boxes"}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["dense", "anchored", "denoising"])
def test_it_learns(way):
    queries = {"anchored": lambda: AnchoredQueries(3, 3, 32), "denoising": lambda: DenoisingQueries(3, 3, 32, 2)}
    model, learn = (dense(), Dense()) if way == "dense" else (detr(queries[way]()), Sets())
    optimizer = AdamW(4e-3) if way == "dense" else Muon(0.02, rest_lr=2e-3)
    task = Detect(model, learn, replace(optimizer, schedule=OneCycle()))
    fit(task, Loader(squares(1000 if way == "dense" else 3000), 16), steps=500 if way == "dense" else 800)
    scores = evaluate(task, squares(100, key=1)).scores
    assert scores["map50"] > (0.8 if way == "dense" else 0.45)
    assert math.isfinite(scores["map75"])

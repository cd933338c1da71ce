"""Augmentation: what happens to a sample depends on (seed, epoch, sample) alone, and has the stated distribution."""

import math

import pytest
import torch

from descend.data import (
    Affine,
    Batch,
    Colour,
    Compose,
    Crop,
    CutMix,
    Cutout,
    Flip,
    Light,
    Loader,
    Mixup,
    RandAugment,
    RandomCrop,
    Tensors,
    Turn,
)
from descend.data.augment.mixing import beta
from descend.functional import keyed

EACH = [
    Flip(),
    RandomCrop(3),
    Affine(),
    Cutout(4),
    Light(),
    Colour(),
    RandAugment((Flip(1.0), Affine(), Light(), Cutout(3))),
    Compose((Flip(), RandomCrop(2), Affine(), Cutout(3), Light())),
]


def pictures(n, channels=2, height=12, width=10):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(1))


def keys(n, epoch=0):
    return keyed.hashed(torch.arange(n), 7, epoch)


@pytest.mark.parametrize("augment", EACH, ids=lambda a: type(a).__name__)
def test_a_sample_is_augmented_alike_in_any_batch(augment):
    x, k = pictures(40), keys(40)
    whole = augment(Batch(x=x, target=torch.arange(40)), k)
    assert whole["x"].shape == x.shape
    assert whole["x"].dtype == x.dtype
    assert torch.equal(whole["target"], torch.arange(40))
    order = torch.randperm(40)
    assert torch.equal(augment(Batch(x=x[order]), k[order])["x"], whole["x"][order])
    for i in (0, 17, 39):
        assert torch.allclose(augment(Batch(x=x[i : i + 1]), k[i : i + 1])["x"][0], whole["x"][i], atol=1e-6)
    assert torch.equal(x, pictures(40))  # the data themselves are as they were


@pytest.mark.parametrize("augment", EACH, ids=lambda a: type(a).__name__)
def test_epochs_and_seeds_differ(augment):
    x = pictures(40)
    first = augment(Batch(x=x), keys(40))["x"]
    again = augment(Batch(x=x), keys(40, epoch=1))["x"]
    assert (first != again).flatten(1).any(1).sum() > 10


def test_the_loader_augments_alike_for_any_batch_size_and_any_rank():
    data = Tensors(x=pictures(30))
    seen = {}
    for batch, ranks in ((30, 1), (7, 1), (8, 2)):
        loader = Loader(data, batch, augment=EACH[-1])
        loader.seed = 3
        rows = torch.zeros_like(data.tensors["x"])
        for step in range(loader.steps_per_epoch, 2 * loader.steps_per_epoch):
            for rank in range(ranks):
                share = loader.batch(step, rank, ranks)
                rows[share["index"]] = share["x"]
        seen[batch] = rows
    assert torch.allclose(seen[30], seen[7], atol=1e-6)
    assert torch.allclose(seen[30], seen[8], atol=1e-6)


def test_the_loader_augments_anew_every_epoch_and_seed_and_alike_when_asked_again():
    data = Tensors(x=pictures(30))
    seen = []
    for seed, epoch in ((3, 0), (3, 1), (4, 0), (3, 0)):
        loader = Loader(data, 7, shuffle=False, augment=Compose((Flip(), RandomCrop(4))))
        loader.seed = seed
        steps = range(epoch * loader.steps_per_epoch, (epoch + 1) * loader.steps_per_epoch)
        seen.append(torch.cat([loader.batch(step)["x"] for step in steps]))
        # keyed by the sample's own number
        x = loader.augment(Batch(x=data.tensors["x"]), keyed.hashed(torch.arange(30), seed, epoch))["x"]
        assert torch.equal(seen[-1], x)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert (seen[i] != seen[j]).flatten(1).any(1).sum() > 20
    assert torch.equal(seen[0], seen[3])


def _draws(key, count):
    return [keyed.uniform(key[None], draw).item() for draw in range(count)]


def _at(picture, row, column):
    """Bilinear, the edge repeated."""
    _, height, width = picture.shape
    row, column = min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)
    top, left = int(row), int(column)
    down, right = row - top, column - left
    bottom, end = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = picture[:, top, left] * (1 - right) + picture[:, top, end] * right
    lower = picture[:, bottom, left] * (1 - right) + picture[:, bottom, end] * right
    return upper * (1 - down) + lower * down


def _slow_flip(a, x, key):
    (u,) = _draws(key, 1)
    return x.flip(2) if u < a.p else x


def _slow_crop(a, x, key):
    down, right = (int(u * (2 * a.padding + 1)) - a.padding for u in _draws(key, 2))
    return _each(x, lambda i, j: _at(x, i + down, j + right))


def _slow_affine(a, x, key):
    angle, size, right, down = (2 * u - 1 for u in _draws(key, 4))
    angle, size = math.radians(angle * a.degrees), 1 + size * a.scale
    cosine, sine = math.cos(angle) / size, math.sin(angle) / size
    middle, centre = (x.shape[1] - 1) / 2, (x.shape[2] - 1) / 2

    def where(i, j):
        i, j = i - middle, j - centre
        row = sine * j + cosine * i + down * a.shift + middle
        return _at(x, row, cosine * j - sine * i + right * a.shift + centre)

    return _each(x, where)


def _slow_cutout(a, x, key):
    top, left = (int(u * most) - a.size // 2 for u, most in zip(_draws(key, 2), x.shape[1:], strict=True))
    inside = lambda i, j: 0 <= i - top < a.size and 0 <= j - left < a.size  # noqa: E731
    return _each(x, lambda i, j: x[:, i, j] * (not inside(i, j)))


def _slow_light(a, x, key):
    b, c = (2 * u - 1 for u in _draws(key, 2))
    return x * (1 + c * a.contrast) + b * a.brightness


def _slow_compose(a, x, key):
    for place, part in enumerate(a.parts):
        x = SLOW[type(part)](part, x, keyed.hashed(key[None], place)[0])
    return x


def _slow_colour(a, x, key):
    s, *tints = (2 * u - 1 for u in _draws(key, 1 + len(x)))
    grey = x.mean(0)
    return torch.stack([grey + (1 + s * a.saturation) * (c - grey) + a.tint * t for c, t in zip(x, tints, strict=True)])


def _slow_rand(a, x, key):
    for turn, u in enumerate(_draws(key, a.count)):
        place = int(u * len(a.parts))
        part = a.parts[place]
        x = SLOW[type(part)](part, x, keyed.hashed(key[None], turn, place)[0])
    return x


def _each(x, value):
    rows = [torch.stack([value(i, j) for j in range(x.shape[2])], 1) for i in range(x.shape[1])]
    return torch.stack(rows, 1)


SLOW = {
    Flip: _slow_flip,
    RandomCrop: _slow_crop,
    Affine: _slow_affine,
    Cutout: _slow_cutout,
    Light: _slow_light,
    Compose: _slow_compose,
    Colour: _slow_colour,
    RandAugment: _slow_rand,
}


@pytest.mark.parametrize("augment", [*EACH, Affine(3, 40, 0.3), Cutout(5)], ids=lambda a: type(a).__name__)
def test_the_formula_one_sample_and_one_pixel_at_a_time(augment):
    x, k = pictures(12, 2, 7, 6), keys(12)
    found = augment(Batch(x=x), k)["x"]
    slow = torch.stack([SLOW[type(augment)](augment, one, key) for one, key in zip(x, k, strict=True)])
    assert torch.allclose(found, slow, atol=1e-4)


NOTHING = [
    Flip(0.0),
    RandomCrop(0),
    Cutout(0),
    Light(0.0, 0.0),
    Compose(()),
    Compose((Flip(0.0), RandomCrop(0), Cutout(0), Light(0.0, 0.0))),
]


@pytest.mark.parametrize("augment", NOTHING, ids=lambda a: type(a).__name__)
def test_no_strength_is_no_change(augment):
    x = pictures(20)
    assert torch.equal(augment(Batch(x=x), keys(20))["x"], x)


def test_the_strongest_flip_turns_all():
    x = pictures(20)
    assert torch.equal(Flip(1.0)(Batch(x=x), keys(20))["x"], x.flip(3))


def test_flip():
    x = pictures(4000, 1, 2, 3)
    flipped = Flip(0.3)(Batch(x=x), keys(4000))["x"]
    turned = (flipped == x.flip(3)).flatten(1).all(1)
    assert ((flipped == x).flatten(1).all(1) | turned).all()
    assert abs(turned.float().mean() - 0.3) < 4 * math.sqrt(0.21 / 4000)


def test_random_crop_moves_by_every_offset_alike_and_repeats_the_edge():
    n, padding = 9000, 1
    x = pictures(1, 2, 5, 6).expand(n, -1, -1, -1)
    found = RandomCrop(padding)(Batch(x=x), keys(n))["x"]
    padded = torch.nn.functional.pad(x[:1], (padding,) * 4, mode="replicate")[0]
    counts = torch.zeros(3, 3)
    for i in range(3):
        for j in range(3):
            counts[i, j] = (found == padded[:, i : i + 5, j : j + 6]).flatten(1).all(1).sum()
    assert counts.sum() == n
    assert (counts / n - 1 / 9).abs().max() < 4 * math.sqrt(8 / 81 / n)


def test_affine_of_nothing_is_nothing():
    x = pictures(8)
    assert torch.allclose(Affine(0, 0, 0)(Batch(x=x), keys(8))["x"], x, atol=1e-5)


def test_affine_shifts_turns_and_scales_in_pixels():
    def centre(x):
        x = x[:, 0] / x[:, 0].sum((1, 2), keepdim=True)
        rows, columns = torch.arange(x.shape[1]).float(), torch.arange(x.shape[2]).float()
        return torch.stack([(x.sum(2) * rows).sum(1), (x.sum(1) * columns).sum(1)], 1)

    n, spot = 2000, torch.zeros(1, 1, 41, 31)
    spot[:, :, 19:22, 14:17] = 1
    moved = centre(Affine(shift=3, degrees=0, scale=0)(Batch(x=spot.expand(n, -1, -1, -1)), keys(n))["x"])
    moved = moved - torch.tensor([20.0, 15.0])
    assert moved.abs().max() <= 3.01
    assert moved.abs().max() > 2.9
    assert moved.mean(0).abs().max() < 4 * 3 / math.sqrt(3 * n)
    assert (moved.std(0) - 3 / math.sqrt(3)).abs().max() < 0.1

    spot = torch.zeros(1, 1, 41, 31)  # off the centre by 8 columns: turned by a, it goes down or up by 8 sin a
    spot[:, :, 19:22, 22:25] = 1
    turned = centre(Affine(shift=0, degrees=30, scale=0)(Batch(x=spot.expand(n, -1, -1, -1)), keys(n))["x"])
    turned = turned - torch.tensor([20.0, 15.0])
    assert torch.allclose(turned.norm(dim=1), torch.full((n,), 8.0), atol=0.15)
    angle = torch.atan2(turned[:, 0], turned[:, 1]).rad2deg()
    assert 29 < angle.abs().max() < 30.5
    assert angle.mean().abs() < 4 * 30 / math.sqrt(3 * n)

    scaled = centre(Affine(shift=0, degrees=0, scale=0.25)(Batch(x=spot.expand(n, -1, -1, -1)), keys(n))["x"])
    reach = scaled[:, 1] - 15
    assert 5.9 < reach.min() < 6.2
    assert 9.8 < reach.max() < 10.2


def test_cutout_takes_one_square():
    n = 3000
    gone = Cutout(4)(Batch(x=torch.ones(n, 3, 12, 9)), keys(n))["x"] == 0
    assert torch.equal(gone[:, 0], gone[:, 2])
    rows, columns = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
    assert torch.equal(gone[:, 0].sum((1, 2)), rows * columns)
    assert rows.max() == columns.max() == 4
    assert rows.min() == 2  # cut at an edge
    assert gone[:, 0].any(0).all()  # anywhere


def test_light():
    x = pictures(5000, 1, 2, 2)
    found = Light(brightness=0.3, contrast=0.1)(Batch(x=x), keys(5000))["x"]
    slope = (found[:, 0, 0, 0] - found[:, 0, 1, 1]) / (x[:, 0, 0, 0] - x[:, 0, 1, 1])
    clear = (x[:, 0, 0, 0] - x[:, 0, 1, 1]).abs() > 0.1
    assert 0.899 < slope[clear].min() < 0.902
    assert 1.098 < slope[clear].max() < 1.101
    lift = found[:, 0, 0, 0] - slope * x[:, 0, 0, 0]
    assert 0.29 < lift[clear].abs().max() < 0.301


def test_parts_of_a_composition_draw_apart():
    half = Flip(0.5)
    x = pictures(4000, 1, 1, 2)
    both = Compose((half, half))(Batch(x=x), keys(4000))["x"]
    turned = (both != x).flatten(1).any(1).float().mean()
    assert abs(turned - 0.5) < 4 * math.sqrt(0.25 / 4000)  # were they alike, none would be turned


MOVING = [
    Flip(),
    RandomCrop(3),
    Affine(2.0, 15.0, 0.2),
    Compose((Flip(), RandomCrop(2))),
    RandAugment((Flip(1.0), RandomCrop(3))),
]


@pytest.mark.parametrize("augment", MOVING, ids=lambda a: type(a).__name__)
def test_classes_of_pixels_move_with_their_pixels(augment):
    """A picture whose values are its classes stays so."""
    target = (pictures(40, 1) * 3).long()[:, 0]
    smooth = torch.nn.functional.interpolate(target[:, None, ::6, ::5].float(), (12, 10), mode="nearest")
    batch = augment(Batch(x=smooth, target=smooth[:, 0].long()), keys(40))
    assert batch["target"].dtype == torch.int64
    near = (batch["x"][:, 0] - batch["target"]).abs() < 0.5
    assert near.float().mean() > 0.9  # at the borders of two classes, the picture is a mean and the class is one
    if not isinstance(augment, Affine):
        assert torch.equal(batch["x"][:, 0], batch["target"].float())
    assert not torch.equal(batch["x"], smooth)


@pytest.mark.parametrize("augment", MOVING, ids=lambda a: type(a).__name__)
def test_boxes_move_with_what_is_in_them(augment):
    """A bright thing is still inside its box, and touches all its edges."""
    x = torch.zeros(60, 1, 24, 30)
    boxes = torch.zeros(60, 2, 4)
    x[:, :, 9:15, 10:18] = 1.0
    boxes[:, 0] = torch.tensor([10.0, 9.0, 18.0, 15.0])
    batch = augment(Batch(x=x, boxes=boxes), keys(60))
    slack = 1.0 if isinstance(augment, Affine) else 0.0
    for picture, (box, none) in zip(batch["x"], batch["boxes"], strict=True):
        rows, columns = (picture[0] > 0.5).nonzero().T
        left, top, right, bottom = box.tolist()
        assert left - slack <= columns.min() <= left + 2.5 * slack
        assert right - 2.5 * slack <= columns.max() + 1 <= right + slack
        assert top - slack <= rows.min() <= top + 2.5 * slack
        assert bottom - 2.5 * slack <= rows.max() + 1 <= bottom + slack
        assert (none[2] - none[0]) * (none[3] - none[1]) == 0
    assert not torch.equal(batch["boxes"], boxes)


def test_pieces_come_from_everywhere_with_what_belongs_to_them():
    n = 3000
    x = torch.arange(5 * 6.0).view(1, 1, 5, 6).expand(n, -1, -1, -1)
    boxes = torch.tensor([[[1.0, 1.0, 4.0, 3.0], [0.0, 0.0, 0.0, 0.0]]]).expand(n, 2, 4)
    batch = Crop(4, 3)(Batch(x=x, target=x[:, 0].long(), boxes=boxes), keys(n))
    assert torch.equal(batch["x"][:, 0], batch["target"].float())
    corner = batch["target"][:, 0, 0]
    top, left = corner // 6, corner % 6
    for row in range(2):
        for column in range(4):
            own = (top == row) & (left == column)
            assert abs(own.float().mean() - 1 / 8) < 4 * math.sqrt(7 / 64 / n)
            piece = batch.tensors["x"][own]
            assert torch.equal(piece, x[: len(piece), :, row : row + 4, column : column + 3])
            limits = torch.tensor([3.0, 4.0, 3.0, 4.0])
            moved = (boxes[0, 0] - torch.tensor([column, row, column, row])).clamp(min=0).minimum(limits)
            assert (batch["boxes"][own, 0] == moved).all()
    assert ((batch["boxes"][:, 1, 2:] - batch["boxes"][:, 1, :2]) == 0).all()
    alone = Crop(4, 3)(Batch(x=x[:1]), keys(n)[17:18])["x"]
    assert torch.equal(alone[0], batch["x"][17])
    with pytest.raises(ValueError, match=r"Crop\(height=9, width=3\): the pictures have 5×6 pixels"):
        Crop(9, 3)(Batch(x=x[:1]), keys(1))


def test_boxes_are_cut_at_the_edge():
    boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0]]]).expand(50, 1, 4)
    moved = RandomCrop(6)(Batch(x=pictures(50), boxes=boxes), keys(50))["boxes"]
    assert moved.min() == 0
    assert moved.max() <= 12


def test_each_sample_gets_as_many_as_asked():
    """Of a flip and nothing, drawn once: as a fair coin has it."""
    one = RandAugment((Light(0.0, 0.0), Flip(1.0)), count=1)
    x = pictures(400)
    flipped = (one(Batch(x=x), keys(400))["x"] == x.flip(3)).flatten(1).all(1).float().mean()
    assert 0.42 < flipped < 0.58
    with pytest.raises(ValueError, match="2 of 0 augmentations"):
        RandAugment(())


def test_shares_are_beta_distributed():
    from scipy.stats import beta as theirs

    for alpha in (0.2, 0.5, 1.0):
        found = beta(keyed.hashed(torch.arange(20_000), 3), alpha).double()
        assert found.min() >= 0
        assert found.max() <= 1
        for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
            assert (found < share).double().mean() == pytest.approx(theirs(alpha, alpha).cdf(share), abs=0.012)


@pytest.mark.parametrize("mixing", [Mixup(4, 0.5), CutMix(4)], ids=lambda a: type(a).__name__)
def test_a_mixed_sample_says_what_is_in_it(mixing):
    """Of pictures that are blank but for their class, the mean colour is the share."""
    target = torch.arange(64) % 4
    x = torch.zeros(64, 4, 8, 8)
    x[torch.arange(64), target] = 1.0
    batch = mixing(Batch(x=x, target=target), keys(64))
    torch.testing.assert_close(batch["x"].mean((2, 3)), batch["target"])
    torch.testing.assert_close(batch["target"].sum(1), torch.ones(64))
    assert (batch["target"].amax(1) < 0.99).sum() > 20
    before = target.roll(1)
    others = batch["target"].clone()
    others[torch.arange(64), target] = 0
    others[torch.arange(64), before] = 0
    assert others.abs().max() == 0


def test_mixing_shares_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="CutMix: alpha must be above 0 and at most 1, got 2"):
        CutMix(3, 2)


def test_quarter_turns_move_pictures_masks_and_boxes_alike():
    """Each as often as the others; what a box holds stays in it; what stands for no box stays none."""
    n, side = 400, 8
    x = torch.zeros(n, 1, side, side)
    x[:, :, 1:3, 2:7] = 1.0
    boxes = torch.tensor([[2.0, 1, 7, 3], [0, 0, 0, 0]]).repeat(n, 1, 1)
    batch = Batch(x=x, target=x[:, 0].long(), boxes=boxes)
    turned = Turn()(batch, keys(n))
    assert torch.equal(turned["target"], turned["x"][:, 0].long())
    for picture, (box, none) in zip(turned["x"][:, 0], turned["boxes"].int().tolist(), strict=True):
        left, top, right, bottom = box
        assert picture.sum() == picture[top:bottom, left:right].sum() == 10
        assert (right - left) * (bottom - top) == 10
        assert none == [0, 0, 0, 0]
    ways = {tuple(picture.flatten().tolist()) for picture in turned["x"]}
    assert len(ways) == 4
    for quarters in range(4):
        share = (turned["x"] == x[:1].rot90(quarters, (2, 3))).flatten(1).all(1).float().mean()
        assert 0.18 < share < 0.32
    again = Turn()(batch, keys(n))
    assert torch.equal(again["x"], turned["x"])
    with pytest.raises(ValueError, match="a picture of 12×10 is no square: give Flip or Affine instead"):
        Turn()(Batch(x=pictures(2)), keys(2))


def test_what_cannot_be_mixed_or_drawn_is_refused():
    keys = torch.arange(2)
    for batch in (
        Batch(x=torch.rand(2, 1, 4, 4), target=torch.zeros(2, 4, 4, dtype=torch.int64)),
        Batch(x=torch.rand(2, 1, 4, 4), boxes=torch.rand(2, 3, 4), target=torch.zeros(2, 3, dtype=torch.int64)),
    ):
        for mixing in (Mixup(3), CutMix(3)):
            with pytest.raises(ValueError, match="mixes one class a picture"):
                mixing(batch, keys)
    for part in (CutMix(3), Crop(2, 2), Compose((Flip(), Mixup(3)))):
        with pytest.raises(ValueError, match=f"RandAugment: {type(part).__name__} does not keep samples apart"):
            RandAugment((Flip(), part))

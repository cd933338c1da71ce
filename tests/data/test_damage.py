"""Damage: what is left is the input, what was there the target, anew every epoch and alike for a key."""

import pytest
import torch

from descend.data import Batch, Compose, Cutout, Downscale, Flip, Hole, Loader, Noise, Tensors, Turn
from descend.functional import bicubic, keyed

EACH = [Noise(25), Downscale(2), Downscale(3), Hole(5), Compose((Flip(), Turn(), Downscale(2), Noise(10)))]


def pictures(n=6, channels=2, side=12):
    return torch.randint(0, 256, (n, channels, side, side), generator=keyed.generator(1)).to(torch.uint8)


def keys(n=6, epoch=0):
    return keyed.hashed(torch.arange(n), 7, epoch)


@pytest.mark.parametrize("damage", EACH, ids=str)
def test_a_sample_is_damaged_alike_in_any_batch_and_anew_for_another_key(damage):
    x = pictures()
    whole = damage(Batch(x=x), keys())
    assert whole["x"].dtype == whole["target"].dtype == torch.float32
    for row in (0, 4):
        alone = damage(Batch(x=x[row : row + 1]), keys()[row : row + 1])
        torch.testing.assert_close(alone["x"][0], whole["x"][row])
        torch.testing.assert_close(alone["target"][0], whole["target"][row])
    other = damage(Batch(x=x), keys(epoch=1))
    assert torch.equal(other["x"], whole["x"]) is isinstance(damage, Downscale)
    assert torch.equal(x, pictures())


@pytest.mark.parametrize("damage", EACH[:-1], ids=str)
def test_the_target_is_the_picture_from_bytes_or_fractions(damage):
    x = pictures()
    batch = damage(Batch(x=x, kept=torch.arange(6)), keys())
    torch.testing.assert_close(batch["target"], x / 255)
    torch.testing.assert_close(damage(Batch(x=x / 255), keys())["x"], batch["x"])
    assert torch.equal(batch["kept"], torch.arange(6))


def test_noise_is_as_strong_as_said_and_is_not_cut():
    x = pictures(200, 1, 40)
    batch = Noise(25)(Batch(x=x), keys(200))
    rest = 255 * (batch["x"] - batch["target"])
    assert rest.std() == pytest.approx(25, rel=0.01)
    assert rest.mean().abs() < 0.2
    assert batch["x"].min() < 0
    assert batch["x"].max() > 1


def test_a_small_picture_has_whole_levels_and_a_target_of_its_multiple():
    x = pictures(2, 3, 13)
    batch = Downscale(2)(Batch(x=x), keys(2))
    assert batch["x"].shape == (2, 3, 6, 6)
    assert torch.equal(batch["target"], (x / 255)[:, :, :12, :12])
    expected = (bicubic(batch["target"], 6, 6).clamp(0, 1) * 255).round()
    torch.testing.assert_close(batch["x"] * 255, expected)
    with pytest.raises(ValueError, match=r"Downscale\(scale=4\): nothing is left of 3×3 pixels: give 4 a side or more"):
        Downscale(4)(Batch(x=pictures(2, 1, 3)), keys(2))


def test_a_hole_is_black():
    batch = Hole(5)(Batch(x=pictures()), keys())
    assert torch.equal(batch["x"], Cutout(5).apply(batch["target"], keys()))
    assert (batch["x"] == 0).float().mean() > 0.05


def test_several_damages_leave_the_first_target():
    damage = Compose((Downscale(2), Noise(5)))
    x = pictures()
    batch = damage(Batch(x=x), keys())
    assert torch.equal(batch["target"], x / 255)
    clean = Downscale(2)(Batch(x=x), keys())["x"]
    assert batch["x"].shape == clean.shape
    assert 255 * (batch["x"] - clean).std() == pytest.approx(5, rel=0.1)


def test_training_sees_new_noise_every_epoch():
    loader = Loader(Tensors(x=pictures()), 6, shuffle=False, augment=Noise(25))
    first, again, next_ = loader.batch(0), loader.batch(0), loader.batch(1)
    assert torch.equal(first["x"], again["x"])
    assert torch.equal(first["target"], next_["target"])
    assert not torch.equal(first["x"], next_["x"])

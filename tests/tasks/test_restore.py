"""Restore and its adversarial form: that they learn, what they score, and what is published of bicubic."""

import zipfile

import pytest
import torch
from torch import nn

from descend.data import Batch, Compose, Downscale, Flip, Hole, Loader, Noise, PhotoCodec, Tensors, Turn, datasets
from descend.data.datasets.restoration import read_photos
from descend.engine import Compute, Predictor, evaluate, fit, load
from descend.functional import keyed
from descend.losses import mae
from descend.models import EDSR, Backbone, DnCNN, Maps, MobileNet, PatchCritic, Stage
from descend.nn import GroupNorm
from descend.optim import Adam, AdamW
from descend.tasks import Luminance, Pixels, Restore, RestoreAdversarial


def stripes(n=64, channels=1, side=24):
    """Smooth waves of any direction, as bytes."""
    draw = torch.rand(n, 4, generator=keyed.generator(7))
    places = torch.arange(side).float()
    angle = 6 * draw[:, 0, None, None]
    wave = torch.sin(0.6 * (angle.cos() * places[:, None] + angle.sin() * places) + 6 * draw[:, 1, None, None])
    return ((0.5 + 0.4 * wave) * 255).round().to(torch.uint8)[:, None].expand(-1, channels, -1, -1).contiguous()


def asked(damage, **how):
    return Tensors(**damage(Batch(x=stripes(16, **how)), keyed.hashed(torch.arange(16), 99)).tensors)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "network", "better"),
    [
        (Noise(25), lambda: DnCNN(1, 16, 4, GroupNorm(4), 2), 4),
        (Downscale(2), lambda: EDSR(1, 2, 12, 2), 2),
        (Hole(8), lambda: DnCNN(1, 16, 6, GroupNorm(4), 2), 4),
    ],
    ids=["noise", "downscale", "hole"],
)
def test_restore_learns(damage, network, better):
    keyed.reseed(0)
    task = Restore(network(), AdamW(3e-3))
    test = asked(damage)
    before = evaluate(task, test).scores["psnr"]
    fit(task, Loader(Tensors(x=stripes()), 16, augment=Compose((Flip(), Turn(), damage))), steps=120)
    found = evaluate(task, test).scores
    assert found["psnr"] > before + better
    assert set(found) == {"psnr", "ssim", "loss"}
    restored = task.predict(x=test.tensors["x"])
    assert restored.shape == test.tensors["target"].shape
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_scores_are_those_of_whole_levels_picture_by_picture():
    from skimage.metrics import peak_signal_noise_ratio

    test = asked(Noise(25))
    task = Restore(nn.Identity(), AdamW(1e-3), mae, Pixels(border=3))
    task.model.forward = lambda x: x
    found = evaluate(task, test, batch=5).scores
    clean, noisy = ((test.tensors[name].clamp(0, 1) * 255).round().numpy() for name in ("target", "x"))
    pairs = zip(clean[:, 0, 3:-3, 3:-3], noisy[:, 0, 3:-3, 3:-3], strict=True)
    expected = [peak_signal_noise_ratio(*pair, data_range=255) for pair in pairs]
    assert found["psnr"] == pytest.approx(sum(expected) / 16, abs=1e-3)
    assert found["loss"] == pytest.approx((test.tensors["target"] - test.tensors["x"]).abs().mean().item(), rel=1e-5)


def test_luminance_goes_from_16_to_235():
    x = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).view(4, 3, 1, 1)
    seen = Luminance(border=2)(x.expand(4, 3, 7, 5))
    assert seen.shape == (4, 1, 3, 1)
    assert (seen[:, 0, 0, 0] * 255).round().tolist() == [16, 235, 81, 145]


def test_bicubic_reaches_its_published_score_on_set5(real_data):
    """33.66 dB (Dong et al. 2014, table 1): the whole way, by a network that adds nothing yet."""
    network = EDSR(3, 2, 4, 1)
    nn.init.zeros_(network.head.weight)
    photos = read_photos(zipfile.Path(datasets.SET5.file.find()) / "Set5", 3)
    task = Restore(network, AdamW(1e-3), view=Luminance(border=2))
    found = evaluate(task, datasets.Photos(photos, Downscale(2))).scores
    assert found["psnr"] == pytest.approx(33.66, abs=0.05)
    assert found["ssim"] == pytest.approx(0.9299, abs=0.002)


def test_noise_reaches_its_score_on_bsd68(real_data):
    """20 · log10(255 / 25) = 20.17 dB, and somewhat more where levels are cut."""
    photos = read_photos(zipfile.Path(datasets.BSD68.file.find()) / "BSD68", 1)
    task = Restore(DnCNN(1, 4, 2), AdamW(1e-3))
    nn.init.zeros_(task.model.head.weight)
    some = dict(list(photos.items())[::8])
    assert evaluate(task, datasets.Photos(some, Noise(25))).scores["psnr"] == pytest.approx(20.4, abs=0.25)


def adversarial(features=None):
    return RestoreAdversarial(
        EDSR(3, 2, 8, 1),
        PatchCritic(3, (8, 12), GroupNorm(4)),
        Adam(1e-3),
        Adam(1e-3),
        view=Luminance(2),
        weight=0.01,
        features=features,
    )


def test_the_adversarial_form_moves_each_network_by_its_own_descent():
    keyed.reseed(0)
    task = adversarial(Maps(Backbone(MobileNet(3, 5, (Stage(8),), 8, 16), (1,))))
    assert set(task.descents()) == {"descent", "judge"}
    before = {name: value.clone() for name, value in task.state_dict().items()}
    batch = Downscale(2)(Batch(x=stripes(8, 3)), keyed.hashed(torch.arange(8)))
    metrics = task.step(batch)
    assert set(metrics) == {"loss", "pixels", "features", "fooling", "judging"}
    changed = [name for name, value in task.state_dict().items() if not torch.equal(value, before[name])]
    moved = {name.partition(".")[0] for name in changed}
    assert moved == {"model", "critic"}


def test_the_relativistic_losses():
    """Wang et al. 2018, eq. 1 and 2, with D(a, b) = sigmoid(a - mean b)."""
    task = adversarial()
    batch = Downscale(2)(Batch(x=stripes(4, 3)), keyed.hashed(torch.arange(4)))
    real, made = task.critic(batch["target"]), task.critic(task(x=batch["x"]))
    more, less = torch.sigmoid(real - made.mean()), torch.sigmoid(made - real.mean())
    judged = -(more.log().mean() + (1 - less).log().mean())
    fooled = -((1 - more).log().mean() + less.log().mean())
    torch.testing.assert_close(task.critic_loss(batch).value(), judged)
    losses = task.restored_loss(batch)
    torch.testing.assert_close(losses["fooling"].value(), 0.01 * fooled)
    assert losses["fooling"].coupled
    assert task.critic_loss(batch).coupled


@pytest.mark.slow
def test_the_adversarial_form_learns_and_is_never_split():
    keyed.reseed(0)
    task, test = adversarial(), asked(Downscale(2), channels=3)
    before = evaluate(task, test).scores["psnr"]
    loader = Loader(Tensors(x=stripes(64, 3)), 16, augment=Downscale(2))
    fit(task, loader, steps=100)
    assert evaluate(task, test).scores["psnr"] > before + 1
    real, made = (task.critic(x).mean() for x in (test.tensors["target"], task.predict(x=test.tensors["x"])))
    assert (real - made).abs() < 3  # neither has won
    with pytest.raises(ValueError, match="couples the samples"):
        fit(adversarial(), loader, steps=1, compute=Compute("cpu", micro=2).settled())


def test_a_restorer_travels_and_answers_photos_of_unlike_sizes(tmp_path):
    tasks = [Restore(DnCNN(3, 4, 3, GroupNorm(2), 2), AdamW(1e-3), view=Pixels(2)), adversarial()]
    for number, task in enumerate(tasks):
        folder = Predictor(task, PhotoCodec(3)).save(tmp_path / str(number))
        predictor = load(folder)
        photos = [torch.rand(3, *size, generator=keyed.generator(1)) for size in ((9, 13), (20, 6), (9, 13))]
        answers = predictor.predict(photos)
        times = number + 1
        found = [(answer["height"] / times, answer["width"] / times) for answer in answers]
        assert found == [(9, 13), (20, 6), (9, 13)]
        assert predictor.predict(photos[1]) == answers[1]
        x = photos[0][None]
        assert torch.equal(predictor.task.predict(x=x), task.eval().predict(x=x))
        assert predictor.task.view == task.view


def test_clean_pictures_alone_are_refused_with_the_remedy():
    task = Restore(DnCNN(1, 4, 2), AdamW(1e-3))
    with pytest.raises(ValueError, match=r"holds x and no target: .* Experiment\(…, augment=Compose"):
        task.loss(Batch(x=torch.rand(2, 1, 8, 8)))

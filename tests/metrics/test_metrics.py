"""Metrics against formulas written out."""

import pytest
import torch

from descend.functional import Mean, keyed
from descend.metrics import PSNR, SSIM, Accuracy, Confusion, Dice, IoU, MeanLoss, RougeL


def test_the_mean_loss_keeps_counts_apart_for_any_batch_size():
    generator = torch.Generator().manual_seed(0)
    values, marked = torch.rand(50, generator=generator), torch.rand(50, generator=generator) > 0.8
    expected = values.mean() + 2 * values[marked].mean()
    for size in (1, 7, 50):
        metric = MeanLoss()
        for part, some in zip(values.split(size), marked.split(size), strict=True):
            metric.update(Mean.of(part) + 2.0 * Mean(part[some].sum(), some.sum()))
        torch.testing.assert_close(metric.compute(), expected)


def test_a_reset_metric_starts_anew_with_another_number_of_terms():
    metric = MeanLoss()
    metric.update(Mean.of(torch.ones(3)) + Mean.of(torch.ones(3)))
    metric.reset()
    metric.update(Mean.of(torch.full((3,), 5.0)))
    assert metric.compute() == 5


def test_words_of_any_script_are_compared():
    metric = RougeL()
    metric.update(["größe über alles", "не то"], ["Größe über alles", "не так"])
    assert metric.compute() == pytest.approx((100 + 50) / 2)


def test_confusion_and_accuracy():
    outputs = torch.eye(3)[torch.tensor([0, 1, 1, 2, 2, 2])]
    target = torch.tensor([0, 0, 1, 2, 2, 1])
    confusion, accuracy = Confusion(), Accuracy()
    for rows in (slice(0, 4), slice(4, 6)):
        confusion.update(outputs[rows], target[rows])
        accuracy.update(outputs[rows], target[rows])
    assert confusion.compute().tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 2]]
    assert accuracy.compute() == 4 / 6


def test_overlaps_of_places():
    target = torch.tensor([[[0, 0, 1], [1, 1, 2]], [[0, 0, 0], [0, -1, 2]]])
    found = torch.tensor([[[0, 1, 1], [1, 0, 2]], [[0, 0, 0], [0, 1, 0]]])
    outputs = torch.nn.functional.one_hot(found, 3).movedim(-1, 1).float()
    metrics = [Accuracy(), Dice(), IoU()]
    for metric in metrics:
        for row in range(2):
            metric.update(outputs[row : row + 1], target[row : row + 1])
    accuracy, dice, iou = (metric.compute().item() for metric in metrics)
    # Pairs that count: 0-0 five times, 0-1 once, 1-1 twice, 1-0 once, 2-2 once, 2-0 once.
    assert accuracy == pytest.approx(8 / 11)
    assert dice == pytest.approx((2 * 2 / (3 + 3) + 2 * 1 / (2 + 1)) / 2)
    assert iou == pytest.approx((5 / 8 + 2 / 4 + 1 / 2) / 3)


def restored(n, channels, height=23, width=31):
    target = torch.rand(n, channels, height, width, generator=keyed.generator(1))
    smooth = torch.nn.functional.avg_pool2d(target, 5, 1, 2)
    return smooth + 0.05 * torch.randn(smooth.shape, generator=keyed.generator(2)), smooth


@pytest.mark.parametrize("channels", [1, 3])
def test_nearness_of_pictures_is_scikit_images(channels):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    outputs, target = restored(5, channels)
    psnr, ssim = PSNR(), SSIM()
    with torch.autocast("cpu", torch.bfloat16):
        for rows in (slice(0, 2), slice(2, 5)):
            psnr.update(outputs[rows], target[rows])
            ssim.update(outputs[rows], target[rows])
    pairs = [(one.double().numpy(), other.double().numpy()) for one, other in zip(target, outputs, strict=True)]
    how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 0, "data_range": 1.0}
    expected = sum(peak_signal_noise_ratio(*pair, data_range=1.0) for pair in pairs) / 5
    assert psnr.compute() == pytest.approx(expected, abs=1e-4)
    assert ssim.compute() == pytest.approx(sum(structural_similarity(*pair, **how) for pair in pairs) / 5, abs=1e-5)


def test_a_picture_without_error_and_one_without_a_window():
    _, target = restored(2, 1)
    psnr, ssim = PSNR(), SSIM()
    psnr.update(target, target)
    ssim.update(target, target)
    assert psnr.compute() == pytest.approx(100)
    assert ssim.compute() == pytest.approx(1)
    with pytest.raises(ValueError, match="windows of 11×11, and a picture has 31×10: give larger ones"):
        ssim.update(target[:, :, :10], target[:, :, :10])


def test_a_class_that_is_nowhere_counts_nothing():
    target = torch.tensor([[0, 1, 1, 0]])
    outputs = torch.nn.functional.one_hot(target, 3).movedim(2, 1).float()
    for metric in (Dice(), IoU()):
        metric.update(outputs, target)
        assert metric.compute() == 1
    nothing = Dice()
    nothing.update(outputs[:, :, :1], target[:, :1])
    assert nothing.compute() == 0

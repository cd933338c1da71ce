"""What torchmetrics lacks; the rest is torchmetrics."""

from descend.metrics.confusion import Accuracy, Confusion, Dice, IoU
from descend.metrics.loss import MeanLoss
from descend.metrics.pictures import PSNR, SSIM
from descend.metrics.precision import AveragePrecision, MeanAveragePrecision
from descend.metrics.texts import BLEU, RougeL
from descend.metrics.verification import Identification, Rates, Verification

__all__ = [
    "BLEU",
    "PSNR",
    "SSIM",
    "Accuracy",
    "AveragePrecision",
    "Confusion",
    "Dice",
    "Identification",
    "IoU",
    "MeanAveragePrecision",
    "MeanLoss",
    "Rates",
    "RougeL",
    "Verification",
]

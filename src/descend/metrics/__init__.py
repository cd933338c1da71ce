"""What torchmetrics lacks; the rest is torchmetrics."""

from descend.metrics.clouds import SlicedWasserstein, sliced_wasserstein
from descend.metrics.confusion import Accuracy, Confusion, Dice, IoU
from descend.metrics.generation import (
    density_coverage,
    distances,
    frechet_distance,
    frechet_of_normals,
    nearest,
    precision_recall,
    radii,
)
from descend.metrics.loss import MeanLoss
from descend.metrics.pictures import PSNR, SSIM
from descend.metrics.precision import AveragePrecision, MeanAveragePrecision
from descend.metrics.ranking import AUROC, MeanAUROC, Retrieval, ranks_among
from descend.metrics.texts import BLEU, RougeL
from descend.metrics.verification import Identification, Rates, Verification

__all__ = [
    "AUROC",
    "BLEU",
    "PSNR",
    "SSIM",
    "Accuracy",
    "AveragePrecision",
    "Confusion",
    "Dice",
    "Identification",
    "IoU",
    "MeanAUROC",
    "MeanAveragePrecision",
    "MeanLoss",
    "Rates",
    "Retrieval",
    "RougeL",
    "SlicedWasserstein",
    "Verification",
    "density_coverage",
    "distances",
    "frechet_distance",
    "frechet_of_normals",
    "nearest",
    "precision_recall",
    "radii",
    "ranks_among",
    "sliced_wasserstein",
]

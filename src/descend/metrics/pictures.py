"""How near a picture comes to what it should be; values are 0 … 1.

torchmetrics averages PSNR over pictures only by keeping the error of each, and takes SSIM also where windows reach out
of the picture, which published scores do not.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric

Pictures = Float[Tensor, "batch channels height width"]


class PictureMetric(Metric):
    """The average over pictures of a number for each."""

    higher_is_better = True
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, outputs: Pictures, target: Pictures) -> None:
        self.total += self.of_each(outputs, target).sum()
        self.count += len(outputs)

    def compute(self) -> Tensor:
        return self.total / self.count

    @abstractmethod
    def of_each(self, outputs: Pictures, target: Pictures) -> Float[Tensor, "batch"]: ...


class PSNR(PictureMetric):
    """10 · log10(1 / mean squared error), in dB; 100 of a picture without any error, because its infinity would be the
    average of all."""

    def of_each(self, outputs: Pictures, target: Pictures) -> Float[Tensor, "batch"]:
        return -10 * (outputs - target).square().mean((1, 2, 3)).clamp(min=1e-10).log10()


class SSIM(PictureMetric):
    """How alike two pictures are in brightness, contrast and structure, seen through windows of 11×11 pixels weighed by
    a normal curve of standard deviation 1.5 (Wang et al. 2004, eq. 13)

        (2·μ·ν + c₁) · (2·cov + c₂) / ((μ² + ν² + c₁) · (σ² + τ² + c₂)),    c₁ = 0.01², c₂ = 0.03²,

    averaged over all windows inside the picture, and over channels.

    Raises:
        ValueError: the pictures hold no window.
    """

    def of_each(self, outputs: Pictures, target: Pictures) -> Float[Tensor, "batch"]:
        height, width = target.shape[2:]
        if min(height, width) < 11:
            raise ValueError(
                f"SSIM looks through windows of 11×11, and a picture has {width}×{height}: give larger ones"
            )
        x, y = (one.flatten(0, 1)[:, None].float() for one in (outputs, target))
        curve = torch.exp(-torch.arange(-5.0, 6.0, device=x.device).square() / (2 * 1.5**2))
        curve = curve / curve.sum()
        # A variance is the difference of two numbers that are nearly the same: half precision would lose it.
        with torch.autocast(x.device.type, enabled=False):
            stacked = torch.cat([x, y, x * x, y * y, x * y], 1)
            down = functional.conv2d(stacked, curve.view(1, 1, 11, 1).expand(5, 1, 11, 1), groups=5)
            means = functional.conv2d(down, curve.view(1, 1, 1, 11).expand(5, 1, 1, 11), groups=5)
        mu, nu, xx, yy, xy = means.unbind(1)
        close = (2 * mu * nu + 1e-4) * (2 * (xy - mu * nu) + 9e-4)
        far = (mu**2 + nu**2 + 1e-4) * (xx - mu**2 + yy - nu**2 + 9e-4)
        return (close / far).mean((1, 2)).view(target.shape[:2]).mean(1)

"""The network of the CIFAR-10 speed records (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU").

A first layer that whitens 2×2 patches and never learns its filters, three groups of two convolutions, each group
halving the picture, and a head that reads the maximum over places.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import GELU, He, initialise, initialise_head


class Group(nn.Sequential):
    """Convolution, halving by maximum, norm, activation; convolution, norm, activation: [batch, channels, h, w] to
    [batch, width, h/2, w/2], rounded down.

    Args:
        channels: that come in.
        width: channels that go out.
    """

    def __init__(self, channels: int, width: int):
        layers: list[nn.Module] = []
        for before, pool in ((channels, True), (width, False)):
            layers.append(nn.Conv2d(before, width, 3, padding=1, bias=False))
            layers += [nn.MaxPool2d(2)] if pool else []
            # Statistics that follow quickly: such a run has a few hundred steps. Their scale would be the next
            # convolution's, so only the shift is learned.
            layers += [nn.BatchNorm2d(width, momentum=0.4), GELU()]
            layers[-2].weight.requires_grad_(False)
        super().__init__(*layers)
        self.channels = channels
        self.width = width


class Airbench(nn.Module):
    """Learns CIFAR-10 in some ten passes over it.

    >>> network = Airbench(3, 10)
    >>> network.whiten(data.train.tensors["x"][:5000])

    Args:
        channels: of the picture.
        classes: numbers that come out.
        widths: channels of the three groups.
        scale: of the logits, small since a maximum is read.
    """

    def __init__(
        self, channels: int, classes: int, widths: tuple[int, int, int] = (64, 256, 256), scale: float = 1 / 9
    ):
        super().__init__()
        self.channels = channels
        self.classes = classes
        self.widths = widths
        self.scale = scale
        self.white = nn.Conv2d(channels, 8 * channels, 2)
        groups = [Group(before, width) for before, width in zip((8 * channels, *widths), widths, strict=False)]
        self.body = nn.Sequential(GELU(), *groups)
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(widths[-1], classes)
        # He et al. 2015 for GELUs; then the first filters of each layer hand their input on (section 3.3 of the paper),
        # so that at the start a picture reaches the head whole.
        initialise(self, He())
        initialise_head(self.head)
        for module in self.body.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.dirac_(module.weight.data[: module.in_channels])
        self.white.weight.requires_grad_(False)
        # Channels lie last in memory: the same numbers, and convolutions on CPU and GPU alike run faster.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def whiten(self, pictures: Float[Tensor, "n channels height width"], eps: float = 5e-4) -> None:
        """Fix the first layer's filters: the eigenvectors of the covariance of 2×2 patches, each over the root of its
        eigenvalue + ``eps``, and their negatives (section 3.2 of the paper)."""
        patches = pictures.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 4 * self.channels)
        values, vectors = torch.linalg.eigh(torch.cov(patches.double().T))
        filters = (vectors / (values + eps).sqrt()).T.reshape(-1, self.channels, 2, 2)
        self.white.weight.copy_(torch.cat([filters, -filters]))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.pool(self.body(self.white(x))).flatten(1)) * self.scale

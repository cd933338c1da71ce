"""A generator and a critic of small pictures, told which class is meant.

The generator makes a picture from noise as DCGAN does, by transposed convolutions (Radford et al. 2016, section 3);
what differs between classes is the scale and the shift behind each norm. The critic says how real a picture looks, for
its class y, by a projection (Miyato and Koyama 2018, eq. 8):

    D(x, y) = v · φ(x) + b + e_y · φ(x),        φ(x) a picture's features, e_y a row learned for the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from descend.nn import He, LeakyReLU, ReLU, initialise, initialise_head


class ClassNorm(nn.Module):
    """Batch norm whose scale and shift belong to a class (Dumoulin et al. 2017, eq. 5; de Vries et al. 2017).

    Args:
        channels: of the maps.
        classes: how many; 1 is plain batch norm.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.channels = channels
        self.classes = classes
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.styles = nn.Embedding(classes, 2 * channels)
        # As a norm's own: all scales 1, all shifts 0.
        nn.init.ones_(self.styles.weight[:, :channels])
        nn.init.zeros_(self.styles.weight[:, channels:])

    def forward(
        self, x: Float[Tensor, "batch channels height width"], target: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch channels height width"]:
        scale, shift = self.styles(target)[:, :, None, None].chunk(2, 1)
        return self.norm(x) * scale + shift


class ConvGenerator(nn.Module):
    """Pictures of 0 … 1 from noise, and a class each where it knows some.

    Args:
        shape: of a picture: channels, height, width; the sides are multiples of 4.
        noise: how many numbers a picture is made of.
        classes: how many it can be asked for; None if it is not asked.
        widths: channels of the maps of a quarter and of half the size.

    Raises:
        ValueError: a side is no multiple of 4; or, when it is called, a class is missing, or given and not known.
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (1, 28, 28),
        noise: int = 64,
        classes: int | None = None,
        widths: tuple[int, int] = (64, 32),
    ):
        super().__init__()
        self.shape = shape
        self.noise = noise
        self.classes = classes
        self.widths = widths
        channels, height, width = _quartered(shape)
        self.first = nn.Linear(noise, widths[0] * height * width)
        self.norms = nn.ModuleList(ClassNorm(wide, classes or 1) for wide in widths)
        self.activation = ReLU()
        self.middle = nn.ConvTranspose2d(widths[0], widths[1], 4, 2, 1)
        self.last = nn.ConvTranspose2d(widths[1], channels, 4, 2, 1)
        # Radford et al. 2016: normal, of standard deviation 0.02. Norms make good whatever that does to a map's size,
        # and the last layer, which has none behind it, begins with grey pictures.
        for name, weight in self.named_parameters():
            if name.startswith(("first", "middle", "last")):
                nn.init.normal_(weight, std=0.02) if name.endswith("weight") else nn.init.zeros_(weight)
        # Channels lie last in memory: the same numbers, and convolutions run faster.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, noise: Float[Tensor, "batch noise"], target: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        target = _told(target, self.classes, noise)
        _, height, width = _quartered(self.shape)
        # The linear map's numbers are laid as its pictures are wanted, channels last.
        small = self.first(noise).unflatten(1, (height, width, self.widths[0])).movedim(3, 1)
        half = self.middle(self.activation(self.norms[0](small, target)))
        return self.last(self.activation(self.norms[1](half, target))).sigmoid()


@dataclass(frozen=True)
class Spectral:
    """Keeps the largest factor by which a layer lengthens its input at 1 (Miyato et al. 2018, section 2.1).

    Args: iterations: of the power method, at each call in training, which find that factor.
    """

    iterations: int = 1

    def __call__(self, layer: nn.Module) -> nn.Module:
        return parametrizations.spectral_norm(layer, n_power_iterations=self.iterations)


class ConvCritic(nn.Module):
    """How real pictures of 0 … 1 look, each for its class where it knows some: a number of any size, the higher the
    more real.

    No norm couples the samples of a batch, so that a penalty on the slope at one sample is of that sample alone.

    Args:
        shape: of a picture: channels, height, width; the sides are multiples of 4.
        classes: how many there are; None if it is not told.
        widths: channels of the maps of half and of a quarter of the size.
        features: length of φ(x).
        spectral: holds every layer; none if None.

    Raises:
        ValueError: a side is no multiple of 4; or, when it is called, a class is missing, or given and not known.
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (1, 28, 28),
        classes: int | None = None,
        widths: tuple[int, int] = (32, 64),
        features: int = 128,
        spectral: Spectral | None = None,
    ):
        super().__init__()
        self.shape = shape
        self.classes = classes
        self.widths = widths
        self.features = features
        self.spectral = spectral
        channels, height, width = _quartered(shape)
        convolutions = [nn.Conv2d(before, wide, 4, 2, 1) for before, wide in pairwise((channels, *widths))]
        found = nn.Linear(widths[1] * height * width, features)
        self.head = nn.Linear(features, 1)
        self.rows = None if classes is None else nn.Embedding(classes, features)
        body = [*convolutions, found]
        # He et al. 2015 for the leaky ReLUs; what reads the features small, so that at first nothing is told apart.
        for layer in body:
            initialise(layer, He(0.2))
        initialise_head(self.head)
        if self.rows is not None:
            nn.init.normal_(self.rows.weight, std=features**-0.5)
        # Channels lie last in memory: the same numbers, and convolutions run faster.
        for layer in convolutions:
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # What holds a layer's weight takes its place, so it comes when the weight is filled and laid out.
        if spectral is not None:
            for layer in (*body, self.head, *([] if self.rows is None else [self.rows])):
                spectral(layer)
        self.body = nn.Sequential(
            convolutions[0], LeakyReLU(0.2), convolutions[1], LeakyReLU(0.2), nn.Flatten(), found, LeakyReLU(0.2)
        )

    def forward(
        self, x: Float[Tensor, "batch channels height width"], target: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch"]:
        target = _told(target, self.classes, x)
        features = self.body(2 * x - 1)  # inside, black is -1
        plain = self.head(features).squeeze(1)
        return plain if self.rows is None else plain + (self.rows(target) * features).sum(1)


def _quartered(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = shape
    if height % 4 or width % 4:
        raise ValueError(f"pictures of {width}×{height}: sides are halved twice, so give multiples of 4")
    return channels, height // 4, width // 4


def _told(target: Tensor | None, classes: int | None, x: Tensor) -> Tensor:
    """The class of each sample; 0 where there are none."""
    if (target is None) != (classes is None):
        given = "no class was given" if target is None else "classes were given"
        knows = "none" if classes is None else f"{classes}, 0 … {classes - 1}"
        raise ValueError(f"{given}, and this network was made for {knows}: say classes=… alike to it and to its task")
    return torch.zeros(len(x), dtype=torch.long, device=x.device) if target is None else target

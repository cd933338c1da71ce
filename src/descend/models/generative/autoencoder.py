"""Pairs of networks: an encoder makes few numbers, the code, of a picture, and a decoder a picture of the code.

    code = encode(x),    x ≈ decode(code)          (Rumelhart et al. 1986; Hinton and Salakhutdinov 2006)

What a code is, the task says: numbers (`tasks.Autoencode`), means and log variances (`tasks.VAE`), or maps whose places
are each drawn to an entry of a codebook (`tasks.VQ`). Encoders without maps are also all that read pictures, `MLP`
first. The convolutions have no norms: two of them need none, and so no picture sees its batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.models.mlp import MLP
from descend.nn import He, Norm, ReLU, initialise, initialise_head

Shape = tuple[int, int, int]


class Decoder(nn.Module, ABC):
    """Base: what makes pictures of codes.

    Attributes:
        width: numbers of a code, or channels of its maps.
        code: shape of a code: (width,), or (width, rows, columns).
        shape: of a picture: channels, height, width.
    """

    width: int
    shape: Shape

    @property
    def code(self) -> tuple[int, ...]:
        return (self.width,)

    @abstractmethod
    def forward(self, code: Float[Tensor, "batch *code"]) -> Float[Tensor, "batch channels height long"]:
        """What a likelihood makes a picture of: means, or logits."""


class MapEncoder(nn.Module):
    """Pictures as small maps: each convolution halves height and width, and a 1×1 convolution gives the channels.

    Args:
        shape: of a picture: channels, height, width; the sides are multiples of 2^len(widths).
        out: channels of the maps.
        widths: of the convolutions.
    """

    def __init__(self, shape: Shape, out: int, widths: tuple[int, ...] = (32, 64)):
        super().__init__()
        self.shape = shape
        self.out = out
        self.widths = widths
        self.grid = _grid(shape, widths)
        layers: list[nn.Module] = []
        for before, width in pairwise((shape[0], *widths)):
            layers += [nn.Conv2d(before, width, 4, 2, 1), ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(widths[-1], out, 1)
        # He et al. 2015 for the ReLUs; a head that begins near 0.
        initialise(self.body, He())
        initialise_head(self.head)
        # Channels lie last in memory: the same numbers, and convolutions run faster.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch out rows columns"]:
        check_shape(x, self.shape)
        return self.head(self.body(x))


class MapDecoder(Decoder):
    """Pictures of small maps: each convolution's channels become pixels, twice as many rows and columns of them (Shi et
    al. 2016, "Real-time single image and video super-resolution", section 3.2).

    Args:
        width: channels of the maps.
        shape, widths: as of the `MapEncoder` that it answers to.
    """

    def __init__(self, width: int, shape: Shape, widths: tuple[int, ...] = (32, 64)):
        super().__init__()
        self.width = width
        self.shape = shape
        self.widths = widths
        self.grid = _grid(shape, widths)
        layers: list[nn.Module] = [nn.Conv2d(width, widths[-1], 3, padding=1), ReLU()]
        for before, after in pairwise(widths[::-1]):
            layers += [nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2), ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(widths[0], 4 * shape[0], 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        # He et al. 2015 for the ReLUs; a head that begins near 0.
        initialise(self.body, He())
        initialise_head(self.head)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def code(self) -> tuple[int, ...]:
        return (self.width, *self.grid)

    def forward(self, code: Float[Tensor, "batch width rows columns"]) -> Float[Tensor, "batch channels height long"]:
        return self.shuffle(self.head(self.body(code)))


class ConvEncoder(nn.Module):
    """Pictures as numbers, by the convolutions of `MapEncoder` and a linear map of all that they see.

    >>> ConvEncoder((1, 28, 28), 32)

    Args:
        shape, widths: as of `MapEncoder`.
        out: numbers of a code; twice as many where it is given as means and log variances.
    """

    def __init__(self, shape: Shape, out: int, widths: tuple[int, ...] = (32, 64)):
        super().__init__()
        self.shape = shape
        self.out = out
        self.widths = widths
        self.maps = MapEncoder(shape, widths[-1], widths)
        self.activation = ReLU()
        self.head = nn.Linear(widths[-1] * math.prod(self.maps.grid), out)
        # The maps initialise themselves; a head that begins near 0.
        initialise_head(self.head)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch out"]:
        return self.head(self.activation(self.maps(x)).flatten(1))


class ConvDecoder(Decoder):
    """Pictures of numbers: a linear map gives the maps that `MapDecoder` enlarges.

    Args:
        width: numbers of a code.
        shape, widths: as of `MapDecoder`.
    """

    def __init__(self, width: int, shape: Shape, widths: tuple[int, ...] = (32, 64)):
        super().__init__()
        self.width = width
        self.shape = shape
        self.widths = widths
        self.pictures = MapDecoder(widths[-1], shape, widths)
        self.first = nn.Linear(width, widths[-1] * math.prod(self.pictures.grid))
        self.activation = ReLU()
        # He et al. 2015 for the ReLU that follows; the rest initialises itself.
        initialise(self.first, He())

    def forward(self, code: Float[Tensor, "batch width"]) -> Float[Tensor, "batch channels height long"]:
        maps = self.activation(self.first(code)).view(len(code), -1, *self.pictures.grid)
        return self.pictures(maps)


class MLPDecoder(Decoder):
    """Pictures of numbers, by full connections; its encoder is an `MLP` with the same layers the other way round.

    >>> encoder, decoder = MLP(784, 512, 256, out=32), MLPDecoder(32, 256, 512, shape=(1, 28, 28))

    Args:
        width: numbers of a code; or of a picture, which it then takes as it is and gives another of (`tasks.Novelty`).
        hidden: width of every hidden layer.
        shape: of a picture: channels, height, width.
        activation, norm: as of `MLP`.
    """

    def __init__(
        self,
        width: int,
        *hidden: int,
        shape: Shape,
        activation: nn.Module | None = None,
        norm: Norm | None = None,
    ):
        super().__init__()
        self.width = width
        self.hidden = hidden
        self.shape = shape
        vars(self)["activation"] = activation
        self.norm = norm
        # Initialised by the activation's own scheme, its head near 0: see `MLP`.
        self.body = MLP(width, *hidden, out=math.prod(shape), activation=activation, norm=norm)

    def forward(self, code: Float[Tensor, "batch *code"]) -> Float[Tensor, "batch channels height long"]:
        return self.body(code).view(len(code), *self.shape)


def check_shape(x: Float[Tensor, "batch channels height width"], shape: Shape) -> None:
    """Refuse pictures of another shape than a network was made for.

    Raises:
        ValueError: saying both.
    """
    if x.shape[1:] != shape:
        given, made = ("×".join(map(str, one)) for one in (x.shape[1:], shape))
        raise ValueError(
            f"pictures of {given} (channels, height, width) came in, and this network is made for {made}: scale them, "
            f"as PictureCodec{(shape[1], shape[2], shape[0])} does, or make the network for theirs"
        )


def _grid(shape: Shape, widths: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the maps."""
    times = 2 ** len(widths)
    if shape[1] % times or shape[2] % times:
        raise ValueError(
            f"{len(widths)} convolutions halve a picture of {shape[2]}×{shape[1]} to no whole number of pixels: its "
            f"sides must be multiples of {times}; pad or cut it, or give fewer widths"
        )
    return shape[1] // times, shape[2] // times

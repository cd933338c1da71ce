"""Where noise is added: to pixels, or to the codes of an autoencoder that stays as it is."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.tasks.generative.generative import Pictures
from descend.tasks.generative.vae import VAE

Codes = Float[Tensor, "batch numbers rows columns"]


class Space(nn.Module):
    """Base. What comes out of `encode` has a spread of about 1, as noise has.

    Attributes:
        bound: no number of a clean one is larger; None where that is not known.
    """

    bound: float | None = None

    @abstractmethod
    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """Of the codes of a picture of this shape."""

    @abstractmethod
    def encode(self, x: Pictures) -> Codes:
        """Pictures of 0 … 1."""

    @abstractmethod
    def decode(self, codes: Codes) -> Pictures: ...

    def forward(self, x: Pictures) -> Codes:
        return self.encode(x)


class PixelSpace(Space):
    """The pixels, from -1 to 1."""

    bound = 1.0

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        return picture

    def encode(self, x: Pictures) -> Codes:
        return 2 * x - 1

    def decode(self, codes: Codes) -> Pictures:
        return ((codes + 1) / 2).clamp(0, 1)


class LatentSpace(Space):
    """The means of a variational autoencoder's codes, brought to a spread of 1 (Rombach et al. 2022, "High-resolution
    image synthesis with latent diffusion models", section 3.2 and appendix G). The autoencoder stays as it is.

    Args:
        vae: that has learned; its codes are maps.
        spread: standard deviation of its codes; as `LatentSpace.of` measures it.

    Raises:
        ValueError: its codes are no maps.
    """

    scale: Tensor

    def __init__(self, vae: VAE, spread: float = 1.0):
        super().__init__()
        if len(vae.decoder.code) != 3:
            raise ValueError(
                f"noise is added to maps, and this autoencoder's codes are {list(vae.decoder.code)}: train one with a "
                "MapEncoder and a MapDecoder"
            )
        self.vae = vae.requires_grad_(False)
        self.spread = spread
        # Kept with the weights, so that a run's own spread comes back with its own autoencoder.
        self.register_buffer("scale", torch.tensor(spread))

    @classmethod
    def of(cls, vae: VAE, x: Pictures) -> LatentSpace:
        """With the spread of the codes of these (training) pictures."""
        return cls(vae, float(vae.codes(x).std()))

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        if tuple(picture) != tuple(self.vae.shape):
            raise ValueError(
                f"pictures of {list(picture)} are wanted, and the autoencoder makes {list(self.vae.shape)}: give one "
                "that was trained on these pictures"
            )
        return self.vae.decoder.code

    def encode(self, x: Pictures) -> Codes:
        return self.vae.codes(x) / self.scale

    def decode(self, codes: Codes) -> Pictures:
        return self.vae.decoded(codes * self.scale)

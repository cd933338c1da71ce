"""One answer for a picture and its mirror image: test-time augmentation (Krizhevsky et al. 2012, section 4.1)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class Mirrored(nn.Module):
    """In training the network itself; in evaluation the mean of its outputs for x and for x flipped left to right.

    For what means the same in a mirror (clothes; not digits or text). Twice the work of an evaluation.

    Args:
        network: from pictures [batch, channels, height, width] to outputs.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outputs"]:
        if self.training:
            return self.network(x)
        return (self.network(x) + self.network(x.flip(3))) / 2

"""A clip of pictures read by a network for one: each picture alone, then the mean of what is found over time
(Karpathy et al. 2014, "late fusion"; Wang et al. 2016). Networks with three axes read it as a volume instead."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class OverTime(nn.Module):
    """[batch, channels, time, height, width] to the mean over time of the network's outputs.

    >>> video = OverTime(resnet18(3, 10))

    Args:
        network: from pictures [batch, channels, height, width] to outputs [batch, …].
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "batch channels time height width"]) -> Float[Tensor, "batch *outputs"]:
        pictures = x.transpose(1, 2)
        return self.network(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2]).mean(1)

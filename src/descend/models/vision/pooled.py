"""A linear map of what is in a picture, wherever it is."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class Pooled(nn.Module):
    """The mean of a network's map over its places, each number standardised over the samples, and one linear map.

    With a backbone that does not learn, it is a linear probe of it (Alain and Bengio 2017).

    >>> Pooled(Maps(Backbone(efficientnet_lite0(), (17,)), LITE0_CODEC.mean, LITE0_CODEC.std), 1280, 128)

    Args:
        maps: gives one map of a picture, such as `Maps`.
        features: channels of that map.
        width: numbers that come out.
        dropout: of what the linear map reads.
    """

    def __init__(self, maps: nn.Module, features: int, width: int, dropout: float = 0.0):
        super().__init__()
        self.maps = maps
        self.features = features
        self.width = width
        self.dropout = dropout
        self.norm = nn.BatchNorm1d(features, affine=False)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(features, width)
        # LeCun et al. 1998: what is standardised comes out as large as it came in.
        nn.init.normal_(self.head.weight, std=features**-0.5)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch numbers"]:
        return self.head(self.drop(self.norm(self.maps(x).mean((2, 3)))))

"""Feed-forward networks."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import LinearBlock, Norm, ReLU, fitting, initialise, initialise_head


class MLP(nn.Module):
    """Layers of full connections (Rumelhart et al. 1986).

    >>> MLP(784, 128, 64, out=10)

    Args:
        features: numbers that go in; pictures are flattened.
        hidden: width of every hidden layer; none at all makes a linear model.
        out: numbers that come out.
        activation: after every hidden layer, ReLU if None; a gated one works on layers twice as wide.
        norm: before every activation, for [batch, width]: ``BatchNorm(axes=0)``; none if None.
        dropout: after every activation, 0 ≤ p < 1.
    """

    def __init__(
        self,
        features: int,
        *hidden: int,
        out: int,
        activation: nn.Module | None = None,
        norm: Norm | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.features = features
        self.hidden = hidden
        self.out = out
        # A template: kept beside the modules, so that its own parameters are no part of the network.
        vars(self)["activation"] = activation
        self.norm = norm
        self.dropout = dropout
        used = ReLU() if activation is None else activation
        widths = zip((features, *hidden), hidden, strict=False)
        self.body = nn.Sequential(*(LinearBlock(a, b, used, norm, dropout) for a, b in widths))
        self.head = nn.Linear(hidden[-1] if hidden else features, out)
        # The scheme that keeps the signal's variance through the activation; a head that begins near 0.
        initialise(self.body, fitting(used))
        initialise_head(self.head)

    def forward(self, x: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch out"]:
        return self.head(self.body(x.flatten(1)))

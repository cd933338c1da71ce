"""Dropout: parts of the signal are left out in training, and the rest scaled up by 1/(1-p) to keep its mean.

`Dropout` leaves out numbers (Srivastava et al. 2014), `Dropout1d` and `Dropout2d` whole channels (Tompson et al. 2015),
`DropPath` the whole branch of a residual block, a sample at a time (Huang et al. 2016, "stochastic depth").
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Dropout, Dropout1d, Dropout2d


class DropPath(nn.Module):
    """Leaves out whole samples of a residual branch.

    Args:
        p: the probability, 0 ≤ p < 1.
    """

    def __init__(self, p: float = 0.1):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"DropPath: p must be in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        if not self.training or self.p == 0:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.p
        return x * kept / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


__all__ = ["DropPath", "Dropout", "Dropout1d", "Dropout2d"]

"""One answer for a picture and its mirror image: test-time augmentation (Krizhevsky et al. 2012, section 4.1)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Mirrored(nn.Module):
    """In training the network itself; in evaluation the mean of its outputs for x and for x flipped left to right.

    For what means the same in a mirror (clothes; not digits or text). Twice the work of an evaluation; six times with a
    shift, whose pictures count as much as the two in place (Jordan 2024).

    Args:
        network: from pictures [batch, channels, height, width] to outputs.
        shift: pixels by which further pictures are moved, up and left and down and right; none if 0.
    """

    def __init__(self, network: nn.Module, shift: int = 0):
        super().__init__()
        self.network = network
        self.shift = shift

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outputs"]:
        if self.training:
            return self.network(x)
        if not self.shift:
            return self._both(x)
        height, width = x.shape[2:]
        wide = functional.pad(x, (self.shift,) * 4, "reflect")
        far = 2 * self.shift
        moved = self._both(wide[:, :, :height, :width]) + self._both(wide[:, :, far:, far:])
        return (self._both(x) + moved / 2) / 2

    def _both(self, x: Tensor) -> Tensor:
        return (self.network(x) + self.network(x.flip(3))) / 2

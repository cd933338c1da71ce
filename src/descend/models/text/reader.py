"""Numbers told by the last state of a recurrence."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import Cell, Recurrent, initialise_head


class RecurrentReader(nn.Module):
    """A sequence of numbers is read to its end; the state there answers: [batch, time, width] to [batch, out].

    >>> RecurrentReader(LSTM(), 2, 64, out=1)

    Args:
        cell: the kind of recurrence.
        width: numbers a step.
        hidden: of the state.
        out: numbers that come out.
        layers: of recurrence.
    """

    def __init__(self, cell: Cell, width: int, hidden: int, out: int, layers: int = 1):
        super().__init__()
        self.cell = cell
        self.width = width
        self.hidden = hidden
        self.out = out
        self.layers = layers
        self.body = Recurrent(cell, width, hidden, layers)
        self.head = nn.Linear(hidden, out)
        # Small, so that at first the answer is the mean.
        initialise_head(self.head)

    def forward(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch out"]:
        return self.head(self.body(x)[0][:, -1])

"""Recurrence: a state that is carried from step to step, h_t = f(x_t, h_{t-1}).

Each kind is written twice: as its paper's equations, one step at a time (`Cell.step`), and by torch's kernels, which
take a whole sequence (`Recurrent`). Both read the same weights and give the same numbers.

| kind | state | source |
|---|---|---|
| `Elman` | h | Elman 1990 |
| `LSTM` | h, c | Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000 |
| `GRU` | h | Cho et al. 2014, with the reset behind the matrix, as the kernels have it |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

State = tuple[Float[Tensor, "layers batch hidden"], ...]
"""What is carried, of every layer; of both directions of the first layer, then of the second …"""


@dataclass(frozen=True)
class Cell(ABC):
    """A kind of recurrence: ``step(x, h, state)`` with W·x_t + b and U·h_{t-1} + c, for all gates at once."""

    gates: ClassVar[int]
    """How many times the hidden width W and U have rows."""
    parts: ClassVar[int] = 1
    """Tensors in a state."""

    @abstractmethod
    def step(self, x: Tensor, h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The next state, whose first part is the output."""

    @abstractmethod
    def kernel(self, width: int, hidden: int, layers: int, both: bool, dropout: float) -> nn.RNNBase:
        """torch's module."""

    def begin(self, bias: Float[Tensor, "gates"]) -> None:
        """Sets the gates' biases, in place."""
        nn.init.zeros_(bias)


@dataclass(frozen=True)
class Elman(Cell):
    """h_t = tanh(W·x_t + U·h_{t-1})."""

    gates = 1

    def step(self, x: Tensor, h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (torch.tanh(x + h),)

    def kernel(self, width: int, hidden: int, layers: int, both: bool, dropout: float) -> nn.RNNBase:
        return nn.RNN(width, hidden, layers, batch_first=True, bidirectional=both, dropout=dropout)


@dataclass(frozen=True)
class LSTM(Cell):
    """c_t = f·c_{t-1} + i·g,    h_t = o·tanh(c_t), with gates i, f, o = σ(…) and g = tanh(…).

    What is in c stays there until a gate lets it go, so that gradients reach far back.

    Args: reach: steps over which it may have to remember; its gates then begin such that what it forgets in is spread
        over 1 … reach steps (Tallec and Ollivier 2018, "chrono initialization"). If None, it forgets in about three.
    """

    gates = 4
    parts = 2
    reach: int | None = None

    def step(self, x: Tensor, h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        enter, keep, new, out = (x + h).chunk(4, -1)
        cell = keep.sigmoid() * state[1] + enter.sigmoid() * new.tanh()
        return out.sigmoid() * cell.tanh(), cell

    def kernel(self, width: int, hidden: int, layers: int, both: bool, dropout: float) -> nn.RNNBase:
        return nn.LSTM(width, hidden, layers, batch_first=True, bidirectional=both, dropout=dropout)

    def begin(self, bias: Float[Tensor, "gates"]) -> None:
        nn.init.zeros_(bias)
        enter, keep, _, _ = bias.data.chunk(4)
        if self.reach is None:
            keep.fill_(1.0)  # a gate that begins open: Jozefowicz et al. 2015
        else:
            keep.copy_(_logs(keep, self.reach))
            enter.copy_(-keep)


@dataclass(frozen=True)
class GRU(Cell):
    """h_t = (1 - z)·n + z·h_{t-1},    n = tanh(W_n·x_t + r·U_n·h_{t-1}), with gates r, z = σ(…).

    Args: reach: as of `LSTM`; if None, it forgets in about one step.
    """

    gates = 3
    reach: int | None = None

    def step(self, x: Tensor, h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), h.chunk(3, -1)
        stay = (xz + hz).sigmoid()
        return ((1 - stay) * (xn + (xr + hr).sigmoid() * hn).tanh() + stay * state[0],)

    def kernel(self, width: int, hidden: int, layers: int, both: bool, dropout: float) -> nn.RNNBase:
        return nn.GRU(width, hidden, layers, batch_first=True, bidirectional=both, dropout=dropout)

    def begin(self, bias: Float[Tensor, "gates"]) -> None:
        nn.init.zeros_(bias)
        if self.reach is not None:
            stay = bias.data.chunk(3)[1]
            stay.copy_(_logs(stay, self.reach))


def _logs(bias: Tensor, reach: int) -> Tensor:
    """log u, with u drawn alike from 1 … reach - 1: σ of it forgets 1/e in u steps."""
    return torch.empty_like(bias).uniform_(1.0, max(reach - 1.0, 1.0)).log()


class Recurrent(nn.Module):
    """Layers of one kind, each reading what the one before gave: [batch, time, width] to [batch, time, hidden], or
    2 · hidden where it is read both ways.

    >>> y, state = Recurrent(LSTM(), 64, 128)(x)
    >>> y, state = Recurrent(GRU(), 64, 128, layers=2, both=True)(x, lengths=lengths)

    Args:
        cell: `Elman`, `LSTM`, `GRU`.
        width: of an input.
        hidden: width of a state.
        layers: 1 or more.
        both: also from the end to the beginning (Schuster and Paliwal 1997).
        dropout: between layers, 0 ≤ p < 1.
    """

    def __init__(self, cell: Cell, width: int, hidden: int, layers: int = 1, both: bool = False, dropout: float = 0.0):
        super().__init__()
        self.cell = cell
        self.width = width
        self.hidden = hidden
        self.layers = layers
        self.both = both
        self.dropout = dropout
        self.kernel = cell.kernel(width, hidden, layers, both, dropout if layers > 1 else 0.0)
        # Inputs as Glorot and Bengio 2010; states by orthogonal matrices, which neither grow nor shrink them (Saxe et
        # al. 2014), a gate at a time; biases as the cell wants its gates to begin.
        for name, weight in self.kernel.named_parameters():
            if "weight_ih" in name:
                nn.init.xavier_uniform_(weight)
            elif "weight_hh" in name:
                for gate in weight.data.chunk(cell.gates):
                    nn.init.orthogonal_(gate)
            elif "bias_ih" in name:
                cell.begin(weight)
            else:
                nn.init.zeros_(weight)

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        state: State | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch time out"], State]:
        """The outputs, and the state behind the last step.

        Args:
            state: that was carried here; zeros if None.
            lengths: steps of each sequence, 1 or more; what comes behind them is not read, gives zeros, and leaves the
                state alone. All have ``time`` steps if None.
        """
        begin = None if state is None else state if self.cell.parts > 1 else state[0]
        if lengths is None:
            y, end = self.kernel(x, begin)
        else:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            y, end = self.kernel(packed, begin)
            y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
        return y, end if isinstance(end, tuple) else (end,)

    def unrolled(
        self, x: Float[Tensor, "batch time width"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch time out"], State]:
        """The same without dropout, by the equations, one step after the other: for what kernels cannot do, as second
        derivatives and maps over samples."""
        ways = 1 + self.both
        begin = state or (x.new_zeros(self.layers * ways, len(x), self.hidden),) * self.cell.parts
        ends = []
        for layer in range(self.layers):
            outputs = []
            for way in range(ways):
                own = tuple(part[layer * ways + way] for part in begin)
                output, end = self._pass(x.flip(1) if way else x, own, f"l{layer}{'_reverse' * way}")
                outputs.append(output.flip(1) if way else output)
                ends.append(end)
            x = torch.cat(outputs, 2)
        return x, tuple(torch.stack(part) for part in zip(*ends, strict=True))

    def _pass(self, x: Tensor, state: tuple[Tensor, ...], name: str) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One layer in one direction."""
        into, carry, bias, carry_bias = (
            getattr(self.kernel, f"{kind}_{name}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        outputs = []
        for step in nn.functional.linear(x, into, bias).unbind(1):
            state = self.cell.step(step, nn.functional.linear(state[0], carry, carry_bias), state)
            outputs.append(state[0])
        return torch.stack(outputs, 1), state

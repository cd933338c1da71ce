"""Text by recurrence: a state that has read all before tells the next token."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.models.text.head import Head, Untied
from descend.models.text.memory import Memory, last
from descend.nn import Cell, Recurrent
from descend.nn.recurrence import State


class RecurrentLanguage(nn.Module):
    """Logits of the next token at every place, by layers of `LSTM`, `GRU` or `Elman` (Mikolov et al. 2010).

    >>> logits, state = RecurrentLanguage(LSTM(), 65, 256)(tokens)
    >>> logits, state = model(following, state)                 # goes on where the text was left

    Args:
        cell: the kind of recurrence.
        vocabulary: how many tokens there are.
        width: of a token and of a state.
        layers: of recurrence.
        head: `Tied` or `Untied`.
        dropout: of the embeddings, between layers, and of what the head reads (Zaremba et al. 2014).
    """

    def __init__(
        self, cell: Cell, vocabulary: int, width: int, layers: int = 2, head: Head = Untied(), dropout: float = 0.0
    ):
        super().__init__()
        self.cell = cell
        self.vocabulary = vocabulary
        self.width = width
        self.layers = layers
        vars(self)["head"] = head
        self.dropout = dropout
        self.words = nn.Embedding(vocabulary, width)
        self.drop = nn.Dropout(dropout)
        self.body = Recurrent(cell, width, width, layers, dropout=dropout)
        self.logits = head(self.words)
        # A token's numbers of about 1, as the states' that they are weighed against; the head small.
        nn.init.normal_(self.words.weight, std=width**-0.5 if self.logits.weight is self.words.weight else 1.0)

    @property
    def length(self) -> int | None:
        """The most tokens that it takes: as many as there are."""
        return None

    def states(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time width"]:
        """What the head reads."""
        return self.read(tokens)[0]

    def read(
        self,
        tokens: Int[Tensor, "batch time"],
        state: State | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """What the head reads, and the state behind the last token: each row's own last, with ``lengths``."""
        y, end = self.body(self.drop(self.words(tokens)), state, lengths)
        return self.drop(y), end

    def forward(
        self, tokens: Int[Tensor, "batch time"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch time vocabulary"], State]:
        hidden, state = self.read(tokens, state)
        return self.logits(hidden), state

    def memory(self, batch: int, room: int) -> Memory:
        """For telling texts; a state has room for all that comes."""
        return RecurrentMemory(self)


class RecurrentMemory(Memory):
    """A state is all there is, however long the text."""

    def __init__(self, model: RecurrentLanguage):
        self.model = model
        self.state: State | None = None

    def tell(
        self, tokens: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch vocabulary"]:
        states, self.state = self.model.read(tokens, self.state, lengths)
        return self.model.logits(last(states, lengths))

    def choose(self, rows: Int[Tensor, "batch"]) -> None:
        self.state = None if self.state is None else tuple(part[:, rows] for part in self.state)

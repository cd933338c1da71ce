"""Recurrent translators: a state is carried through the answer, and asks what was read once behind it, by `DotScore`
(Luong et al. 2015) or `AdditiveScore` (Bahdanau et al. 2015)."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.models.text.encoders import Kept, RecurrentEncoder
from descend.models.text.head import Head, Tied
from descend.models.text.memory import Memory, last
from descend.models.text.translator import Translator
from descend.nn import Cell, Recurrent
from descend.nn.recurrence import State


class Score(nn.Module):
    """Base. How much each told token asks each read one: [batch, told, width], [batch, time, width] to
    [batch, told, time]."""

    @abstractmethod
    def forward(self, told: Tensor, read: Tensor) -> Tensor: ...


class DotScore(Score):
    """tᵀ·W·r (Luong et al. 2015, eq. 8, "general").

    Args: width: of both.
    """

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.map = nn.Linear(width, width, bias=False)

    def forward(
        self, told: Float[Tensor, "batch told width"], read: Float[Tensor, "batch time width"]
    ) -> Float[Tensor, "batch told time"]:
        return self.map(told) @ read.mT


class AdditiveScore(Score):
    """vᵀ·tanh(W·t + U·r) (Bahdanau et al. 2015, appendix A.1.2).

    Args: width: of both.
    """

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.told = nn.Linear(width, width, bias=False)
        self.read = nn.Linear(width, width)
        self.weigh = nn.Linear(width, 1, bias=False)

    def forward(
        self, told: Float[Tensor, "batch told width"], read: Float[Tensor, "batch time width"]
    ) -> Float[Tensor, "batch told time"]:
        return self.weigh(torch.tanh(self.told(told)[:, :, None] + self.read(read)[:, None]))[..., 0]


class RecurrentTranslator(Translator):
    """An encoder read both ways, a decoder that starts from what it has read, and attention behind the decoder's state:
    ỹ = tanh(W·[y; context]) (Luong et al. 2015, eq. 5).

    Args:
        cell: the kind of recurrence.
        vocabulary: of both texts.
        width: of tokens, states and what is asked; even.
        score: `DotScore` or `AdditiveScore` of that width.
        layers: of recurrence, on each side.
        head: `Tied` or `Untied`.
        dropout: of embeddings, between layers, and of what the head reads.
    """

    def __init__(
        self,
        cell: Cell,
        vocabulary: int,
        width: int,
        score: Score,
        layers: int = 1,
        head: Head = Tied(),
        dropout: float = 0.2,
    ):
        super().__init__()
        self.cell = cell
        self.vocabulary = vocabulary
        self.width = width
        self.score = score
        self.layers = layers
        vars(self)["head"] = head
        self.dropout = dropout
        self.reader = RecurrentEncoder(cell, vocabulary, width, width, layers, dropout)
        self.drop = nn.Dropout(dropout)
        self.begin = nn.Linear(width, layers * cell.parts * width)
        self.teller = Recurrent(cell, width, width, layers, dropout=dropout)
        self.join = nn.Linear(2 * width, width)
        self.logits = head(self.reader.words)
        # Glorot and Bengio 2010, as fits tanh.
        for linear in (self.begin, self.join):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def encode(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch time width"]:
        """What the decoder asks."""
        return self.reader(tokens, kept)

    def first(self, memory: Float[Tensor, "batch time width"], kept: Kept = None) -> State:
        """The decoder's state before it tells anything: a map of the mean of what was read, which at padding is 0."""
        count = memory.shape[1] if kept is None else kept.sum(1, keepdim=True)
        parts = torch.tanh(self.begin(memory.sum(1) / count)).view(
            len(memory), self.cell.parts, self.layers, self.width
        )
        return tuple(part.transpose(0, 1).contiguous() for part in parts.unbind(1))

    def states(
        self, answer: Int[Tensor, "batch told"], memory: Float[Tensor, "batch time width"], kept: Kept = None
    ) -> Float[Tensor, "batch told width"]:
        """What the head reads, for an answer as far as it is told."""
        return self.tell(answer, memory, kept)[0]

    def tell(
        self,
        answer: Int[Tensor, "batch told"],
        memory: Float[Tensor, "batch time width"],
        kept: Kept = None,
        state: State | None = None,
    ) -> tuple[Float[Tensor, "batch told width"], State, Float[Tensor, "batch told time"]]:
        """What the head reads, the state behind the last token, and how much each token asked each that was read."""
        told, end = self.teller(self.drop(self.reader.words(answer)), state or self.first(memory, kept))
        scores = self.score(told, memory)
        asked = (scores if kept is None else scores.masked_fill(~kept[:, None], -torch.inf)).softmax(2)
        return self.drop(torch.tanh(self.join(torch.cat([told, asked @ memory], 2)))), end, asked

    def memory(
        self, tokens: Int[Tensor, "batch time"], kept: Kept = None, candidates: int = 1, room: int = 128
    ) -> Memory:
        """For telling answers to these texts, so many candidates for each."""
        return RecurrentTranslatorMemory(self, tokens, kept, candidates)


class RecurrentTranslatorMemory(Memory):
    """Args: candidates: for each text, one behind the other."""

    def __init__(
        self, model: RecurrentTranslator, tokens: Int[Tensor, "batch time"], kept: Kept = None, candidates: int = 1
    ):
        self.model = model
        self.read = model.encode(tokens, kept).repeat_interleave(candidates, 0)
        self.kept = None if kept is None else kept.repeat_interleave(candidates, 0)
        self.state: State | None = None

    def tell(
        self, tokens: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch vocabulary"]:
        if lengths is not None and not bool((lengths == tokens.shape[1]).all()):
            raise ValueError("RecurrentTranslatorMemory: answers begin with equally many tokens")
        states, self.state, _ = self.model.tell(tokens, self.read, self.kept, self.state)
        return self.model.logits(last(states, None))

    def choose(self, rows: Int[Tensor, "batch"]) -> None:
        self.state = None if self.state is None else tuple(part[:, rows] for part in self.state)

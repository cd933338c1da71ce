"""What makes a text of a text: one interface for all that reads one and tells the other."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.functional import Mean
from descend.losses import word_cross_entropy
from descend.models.text.encoders import Kept
from descend.models.text.head import Logits
from descend.models.text.memory import Memory


class Translator(nn.Module):
    """Base: reads a text, tells states behind it, and makes ``logits`` of them."""

    logits: Logits

    @abstractmethod
    def encode(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch time width"]:
        """What the decoder asks."""

    @abstractmethod
    def states(
        self, answer: Int[Tensor, "batch told"], memory: Float[Tensor, "batch time width"], kept: Kept = None
    ) -> Float[Tensor, "batch told width"]:
        """What the head reads, for an answer as far as it is told."""

    @abstractmethod
    def memory(
        self, tokens: Int[Tensor, "batch time"], kept: Kept = None, candidates: int = 1, room: int = 128
    ) -> Memory:
        """For telling answers to these texts, so many candidates for each, of so many tokens."""

    def forward(
        self, tokens: Int[Tensor, "batch time"], answer: Int[Tensor, "batch told"], kept: Kept = None
    ) -> Float[Tensor, "batch told vocabulary"]:
        """Logits of the answer's next token, at every place."""
        return self.logits(self.states(answer, self.encode(tokens, kept), kept))

    def surprise(
        self,
        tokens: Int[Tensor, "batch time"],
        answer: Int[Tensor, "batch told"],
        target: Int[Tensor, "batch told"],
        kept: Kept = None,
        label_smoothing: float = 0.0,
    ) -> Mean:
        """-log p(target | answer so far, text), averaged over the target's tokens, -100 being none
        (`losses.word_cross_entropy`)."""
        states, head = self.states(answer, self.encode(tokens, kept), kept), self.logits
        return word_cross_entropy(states, target, head.weight, head.bias, head.cap, label_smoothing)

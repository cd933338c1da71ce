"""Saying again what was read: `Copying`, for answers that share names and rare words with their text.

    p(w) = (exp(z_w) + Σ_{i: x_i = w} exp(s_i)) / Z,    s_i = score(h, r_i) / √width

with one Z for both: the words of the vocabulary and the places of the text compete (Gu et al. 2016, "Incorporating
copying mechanism in sequence-to-sequence learning", eq. 4 to 8; their score is one of ours, without its tanh).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.functional import Mean
from descend.losses import cross_entropy
from descend.models.text.attend import Score
from descend.models.text.encoders import Kept
from descend.models.text.memory import Memory, last
from descend.models.text.translate import Transformer, TransformerMemory

LEAST = 1e-30
"""What a word that was not read counts beside exp(0); a logarithm of 0 would have no gradient."""


class Copying(nn.Module):
    """A translator that can also say a word because it stands in the text.

    >>> logits = Copying(Transformer(8_000, 192, 6, 3, SinusoidalPositions(192)), DotScore(192))(tokens, answer, kept)

    Args:
        model: says words of its vocabulary.
        score: how much each state asks for each place that was read; of the model's width.
    """

    def __init__(self, model: Transformer, score: Score):
        super().__init__()
        self.model = model
        self.score = score

    @property
    def length(self) -> int | None:
        """The most tokens that it takes; None where its positions end nowhere."""
        return self.model.length

    def forward(
        self, tokens: Int[Tensor, "batch time"], answer: Int[Tensor, "batch told"], kept: Kept = None
    ) -> Float[Tensor, "batch told vocabulary"]:
        """Logits of the answer's next token, at every place."""
        read = self.model.encode(tokens, kept)
        return self.told(self.model.states(answer, read, kept), read, tokens, kept)

    def surprise(
        self,
        tokens: Int[Tensor, "batch time"],
        answer: Int[Tensor, "batch told"],
        target: Int[Tensor, "batch told"],
        kept: Kept = None,
        label_smoothing: float = 0.0,
    ) -> Mean:
        """As of `Translator`."""
        logits = self(tokens, answer, kept).flatten(0, 1)
        return cross_entropy(logits, target.flatten(), label_smoothing=label_smoothing)

    def told(
        self,
        states: Float[Tensor, "batch told width"],
        read: Float[Tensor, "batch time width"],
        tokens: Int[Tensor, "batch time"],
        kept: Kept = None,
    ) -> Float[Tensor, "batch told vocabulary"]:
        """The logarithm of what stands over Z."""
        exact = torch.promote_types(states.dtype, torch.float32)
        logits = self.model.logits(states).to(exact)
        scores = self.score(states, read).to(exact) * states.shape[-1] ** -0.5
        scores = scores if kept is None else scores.masked_fill(~kept[:, None], -torch.inf)
        peak = scores.amax(2, keepdim=True).detach()
        places = tokens[:, None].expand(-1, states.shape[1], -1)
        copied = torch.zeros_like(logits).scatter_add(2, places, (scores - peak).exp())
        return torch.logaddexp(logits, copied.clamp(min=LEAST).log() + peak).to(states.dtype)

    def memory(
        self, tokens: Int[Tensor, "batch time"], kept: Kept = None, candidates: int = 1, room: int = 128
    ) -> Memory:
        """For telling answers to these texts, so many candidates for each, of so many tokens."""
        return CopyingMemory(self, tokens, kept, candidates, room)


class CopyingMemory(TransformerMemory):
    """As `TransformerMemory`, with the texts beside it. Args: as there."""

    def __init__(
        self,
        model: Copying,
        tokens: Int[Tensor, "batch time"],
        kept: Kept = None,
        candidates: int = 1,
        room: int = 128,
    ):
        super().__init__(model.model, tokens, kept, candidates, room)
        self.copying = model
        self.tokens = tokens.repeat_interleave(candidates, 0)

    def tell(
        self, tokens: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch vocabulary"]:
        state = last(self.states(tokens, lengths), lengths)
        return self.copying.told(state[:, None], self.read, self.tokens, self.kept)[:, 0]

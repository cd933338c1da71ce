"""Masked language: words that were hidden are guessed from all around them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.data import Batch
from descend.engine import Descent, Min, Task
from descend.functional import Mean, keyed
from descend.losses import word_cross_entropy
from descend.models.text.encoders import Kept
from descend.optim import Optimizer


class MaskedLanguage(Task):
    """Learns the tokens that were chosen, 15 % of all; of these 80 % are hidden, 10 % are another token, and 10 % are
    left as they are, so that what is read can never be trusted blindly (Devlin et al. 2019, section 3.1). Answers a
    text with its hidden tokens filled in.

    >>> task = MaskedLanguage(MaskedBERT(BERT(codec.vocabulary, 128, 4, 4)), AdamW(1e-3), mask=UNKNOWN)

    A batch holds ``tokens`` [batch, time] and, where some are padding, ``kept``.

    Args:
        model: `MaskedBERT`.
        optimizer: how it is moved.
        mask: the token that stands for a hidden one.
        share: of the tokens that are chosen, 0 … 1.
    """

    goal = Min("loss")

    def __init__(self, model: nn.Module, optimizer: Optimizer, mask: int, share: float = 0.15):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.mask = mask
        self.share = share
        self.descent = Descent(model, optimizer)

    def forward(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch time vocabulary"]:
        """Logits of every token."""
        return self.model(tokens, kept)

    def hidden(
        self, tokens: Int[Tensor, "batch time"], kept: Kept = None
    ) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
        """What is read, and what is to be guessed, -100 where nothing is. In evaluation the tokens themselves are the
        key of what is chosen, so that every evaluation asks the same."""
        if self.training:
            chance, other = torch.rand(2, *tokens.shape, device=tokens.device).unbind()
        else:
            places = torch.arange(tokens.shape[1], device=tokens.device)
            keys = keyed.hashed((tokens + (tokens.sum(1, keepdim=True) << 20) + (places << 40)).flatten())
            chance, other = (keyed.uniform(keys, draw).view(tokens.shape) for draw in (0, 1))
        chosen = chance < self.share
        chosen = chosen if kept is None else chosen & kept
        vocabulary = self.model.logits.weight.shape[0]  # type: ignore[union-attr, index]
        strange = (other * vocabulary).long()
        read = torch.where(chosen & (chance < 0.9 * self.share), strange, tokens)
        read = torch.where(chosen & (chance < 0.8 * self.share), self.mask, read)
        return read, tokens.where(chosen, -100)

    def loss(self, batch: Batch) -> Mean:
        kept = batch.get("kept")
        read, target = self.hidden(batch["tokens"], kept)
        states = self.model.states(read, kept)  # type: ignore[operator]
        head = self.model.logits
        return word_cross_entropy(states, target, head.weight, head.bias, head.cap)  # type: ignore[union-attr, arg-type]

    def predict(self, **inputs: Tensor) -> Int[Tensor, "batch time"]:
        """The text with its hidden tokens filled in by the likeliest others."""
        tokens = inputs["tokens"]
        with torch.no_grad():
            logits = self(tokens, inputs.get("kept"))
        logits[..., self.mask] = -torch.inf
        return torch.where(tokens == self.mask, logits.argmax(2), tokens)

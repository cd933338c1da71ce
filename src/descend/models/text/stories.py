"""Answers from a memory of sentences (Sukhbaatar et al. 2015, "End-to-end memory networks")."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class MemoryNetwork(nn.Module):
    """The question asks the sentences which of them matter, takes what these say, and asks again, hop by hop:

        p = softmax(uᵀ·m_i),    u ← u + Σ p_i·c_i,

    with m_i and c_i sums of the words' embeddings, weighed by their places (section 4.1), and of what says how long ago
    the sentence was told. A hop's c is the next one's m ("adjacent" tying). A rectified layer before the head, which
    the paper has not, lets it compare what was found with what was asked, as yes and no want.

    Args:
        vocabulary: how many words there are, and nothing, which is 0.
        classes: answers.
        sentences: of a story, the newest first.
        width: of an embedding.
        hops: how often it asks.
        dropout: of what is asked, between hops.
        noise: share of sentences before which an empty one is thought of in training, so that ages are not learned by
            heart (section 4.1, "random noise").
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        sentences: int,
        width: int = 64,
        hops: int = 3,
        dropout: float = 0.1,
        noise: float = 0.1,
    ):
        super().__init__()
        self.vocabulary = vocabulary
        self.classes = classes
        self.sentences = sentences
        self.width = width
        self.hops = hops
        self.dropout = dropout
        self.noise = noise
        self.words = nn.ModuleList(nn.Embedding(vocabulary, width, padding_idx=0) for _ in range(hops + 1))
        self.ages = nn.ModuleList(nn.Embedding(sentences, width) for _ in range(hops + 1))
        self.drop = nn.Dropout(dropout)
        self.skip = nn.Dropout(noise)
        self.think = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)
        # Normal, 0.1, as the paper (section 4.2); nothing stays 0.
        for embedding in (*self.words, *self.ages):
            nn.init.normal_(embedding.weight, std=0.1)  # type: ignore[arg-type]
            if embedding.padding_idx is not None:
                nn.init.zeros_(embedding.weight[0].data)  # type: ignore[index]
        for linear in (self.think, self.head):
            nn.init.normal_(linear.weight, std=0.1)
            nn.init.zeros_(linear.bias)

    def forward(
        self, story: Int[Tensor, "batch sentences words"], question: Int[Tensor, "batch words"]
    ) -> Float[Tensor, "batch classes"]:
        asked = self._sum(self.words[0](question))
        age = torch.arange(story.shape[1], device=story.device).expand(story.shape[:2])
        skipped = (self.skip(torch.ones_like(age, dtype=torch.float32)) == 0).cumsum(1)
        age = (age + skipped).clamp(max=self.sentences - 1)
        told = (story > 0).any(2)
        # A story of nothing would leave no sentence to ask; its first empty one says nothing.
        told = told | ~told.any(1, keepdim=True)
        for hop in range(self.hops):
            memory, answer = (self._told(story, age, place) for place in (hop, hop + 1))
            scores = (memory @ asked[:, :, None])[:, :, 0].masked_fill(~told, -torch.inf)
            asked = self.drop(asked + (scores.softmax(1)[:, None] @ answer)[:, 0])
        return self.head(self.think(asked).relu())

    def _told(self, story: Tensor, age: Tensor, place: int) -> Float[Tensor, "batch sentences width"]:
        return self._sum(self.words[place](story)) + self.ages[place](age)

    def _sum(self, words: Float[Tensor, "*shape words width"]) -> Float[Tensor, "*shape width"]:
        """l_kj = (1 - j/J) - (k/d)·(1 - 2j/J) for word j of J and number k of d."""
        count, width = words.shape[-2:]
        j = (torch.arange(count, device=words.device) + 1)[:, None] / count
        k = (torch.arange(width, device=words.device) + 1) / width
        return (words * ((1 - j) - k * (1 - 2 * j)).to(words.dtype)).sum(-2)

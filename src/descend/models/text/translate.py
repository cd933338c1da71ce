"""From one text to another by attention alone: `Transformer`, encoder and decoder (Vaswani et al. 2017)."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.models.text.encoders import Kept
from descend.models.text.head import Head, Tied
from descend.models.text.memory import Memory, last
from descend.models.text.translator import Translator
from descend.nn import (
    Attention,
    Cache,
    FeedForward,
    LearnedPositions,
    Order,
    PreNorm,
    ReLU,
    SinusoidalPositions,
    TransformerBlock,
)
from descend.nn.positions import check_room


class Transformer(Translator):
    """Encoder and decoder. One embedding serves both texts and the head, as their tokens are of one vocabulary.

    >>> logits = Transformer(10_000, 128, 4, 4, SinusoidalPositions(128))(tokens, answer, kept)

    Args:
        vocabulary: how many tokens there are.
        width: of a token.
        heads: of each attention.
        layers: blocks of the encoder, and as many of the decoder.
        position: added to tokens.
        hidden: of the network for each token; four times the width if None.
        activation: of that network.
        order: where the norms stand, and which.
        head: `Tied` or `Untied`.
        dropout: of the embeddings, of what each branch adds, and between the maps of the network for each token.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        position: LearnedPositions | SinusoidalPositions,
        hidden: int | None = None,
        activation: nn.Module = ReLU(),
        order: Order = PreNorm(),
        head: Head = Tied(),
        dropout: float = 0.1,
    ):
        super().__init__()
        self.vocabulary = vocabulary
        self.width = width
        self.heads = heads
        self.layers = layers
        self.position = position
        self.hidden = hidden
        vars(self)["activation"] = activation
        self.order = order
        vars(self)["head"] = head
        self.dropout = dropout
        wide = hidden or 4 * width

        def block(tells: bool) -> TransformerBlock:
            cross = Attention(width, heads) if tells else None
            feed = FeedForward(width, wide, activation, dropout=dropout)
            return TransformerBlock(Attention(width, heads, causal=tells), feed, cross, order, dropout)

        self.words = nn.Embedding(vocabulary, width)
        self.drop = nn.Dropout(dropout)
        self.reading = nn.ModuleList(block(False) for _ in range(layers))
        self.read = order.last(width)
        self.telling = nn.ModuleList(block(True) for _ in range(layers))
        self.norm = order.last(width)
        self.logits = head(self.words)
        # Glorot and Bengio 2010 for the maps; words such that, times √width, their numbers are about 1 (section 3.4).
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.words.weight, std=width**-0.5)

    def _words(self, tokens: Tensor, start: Tensor | None = None) -> Tensor:
        return self.drop(self.position(self.words(tokens) * self.width**0.5, start))

    def encode(self, tokens: Int[Tensor, "batch time"], kept: Kept = None) -> Float[Tensor, "batch time width"]:
        """What the decoder asks."""
        x = self._words(tokens)
        for block in self.reading:
            x = block(x, mask=None if kept is None else kept[:, None, None])
        return self.read(x)

    def states(
        self,
        answer: Int[Tensor, "batch told"],
        memory: Float[Tensor, "batch time width"],
        kept: Kept = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch told width"]:
        """What the head reads, for an answer as far as it is told."""
        x = self._words(answer, None if cache is None else cache.start)
        for block in self.telling:
            mask = None if kept is None else kept[:, None, None]
            x = block(x, memory, context_mask=mask, cache=cache)
        return self.norm(x)

    @property
    def length(self) -> int | None:
        """The most tokens that it takes; None where its positions end nowhere."""
        return self.position.length if isinstance(self.position, LearnedPositions) else None

    def memory(
        self, tokens: Int[Tensor, "batch time"], kept: Kept = None, candidates: int = 1, room: int = 128
    ) -> Memory:
        """For telling answers to these texts, so many candidates for each, of so many tokens.

        Raises:
            ValueError: there are fewer places than that.
        """
        check_room(self.position, room)
        return TransformerMemory(self, tokens, kept, candidates, room)


class TransformerMemory(Memory):
    """Of answers to texts, ``candidates`` for each, one behind the other. Args: room: tokens of an answer."""

    def __init__(
        self,
        model: Transformer,
        tokens: Int[Tensor, "batch time"],
        kept: Kept = None,
        candidates: int = 1,
        room: int = 128,
    ):
        self.model = model
        self.read = model.encode(tokens, kept).repeat_interleave(candidates, 0)
        self.kept = None if kept is None else kept.repeat_interleave(candidates, 0)
        self.cache = Cache(len(self.read), room, tokens.device)

    def tell(
        self, tokens: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch vocabulary"]:
        return self.model.logits(last(self.states(tokens, lengths), lengths))

    def states(
        self, tokens: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch time width"]:
        """What the head reads, of tokens that are remembered from now on."""
        states = self.model.states(tokens, self.read, self.kept, self.cache)
        self.cache.advance(tokens.shape[1] if lengths is None else lengths)
        return states

    def choose(self, rows: Int[Tensor, "batch"]) -> None:
        self.cache.choose(rows)

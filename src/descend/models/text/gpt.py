"""A decoder: each token is told by those before it (GPT; Radford et al. 2018 and 2019).

The parts that later models changed are objects: where a token stands (`LearnedPositions`, or `Rotary` inside
attention), the network for each token (`GELU`, `swiglu`), the norms (`LayerNorm`, `RMSNorm`), and the head.

    GPT-2   GPT(50257, 768, 12, 12, LearnedPositions(1024, 768), activation=GELU("tanh"))
    Llama   GPT(32000, 4096, 32, 32, Rotary(128), hidden=11008, activation=swiglu(), order=PreNorm(RMSNorm()),
                head=Untied(), bias=False)
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.models.text.head import Head, Tied
from descend.models.text.memory import Memory, last
from descend.nn import (
    GELU,
    Attention,
    Cache,
    FeedForward,
    LearnedPositions,
    Order,
    PreNorm,
    Relation,
    SinusoidalPositions,
    TransformerBlock,
)
from descend.nn.positions import check_room


class GPT(nn.Module):
    """Logits of the next token at every place: [batch, time] to [batch, time, vocabulary].

    Args:
        vocabulary: how many tokens there are.
        width: of a token.
        heads: of each attention.
        layers: blocks.
        position: what says where a token stands: `LearnedPositions`, `SinusoidalPositions`, `Rotary`, `RelativeBias`.
        kv_heads: heads of keys and values; all if None.
        hidden: of the network for each token; four times the width if None.
        activation: of that network.
        order: where the norms stand, and which.
        head: `Tied` or `Untied`.
        bias: whether the blocks' maps have one.
        dropout: of the embeddings and of what each branch adds.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        position: LearnedPositions | SinusoidalPositions | Relation,
        kv_heads: int | None = None,
        hidden: int | None = None,
        activation: nn.Module = GELU(),
        order: Order = PreNorm(),
        head: Head = Tied(),
        bias: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.vocabulary = vocabulary
        self.width = width
        self.heads = heads
        self.layers = layers
        self.position = position
        self.kv_heads = kv_heads
        self.hidden = hidden
        vars(self)["activation"] = activation
        self.order = order
        vars(self)["head"] = head
        self.bias = bias
        self.dropout = dropout
        inside = position if isinstance(position, Relation) else None
        self.words = nn.Embedding(vocabulary, width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                Attention(width, heads, None, kv_heads, inside, causal=True, bias=bias),
                FeedForward(width, hidden or 4 * width, activation, bias),
                order=order,
                dropout=dropout,
            )
            for _ in range(layers)
        )
        self.norm = order.last(width)
        self.logits = head(self.words)
        # Radford et al. 2019, section 2.3: small normal weights; what is added to the stream is smaller the more there
        # is of it, two branches a block, so that the sum is as large as what came in.
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self.blocks:
            for out in (block.attention.out, block.feed[-1]):  # type: ignore[union-attr, index]
                nn.init.normal_(out.weight, std=0.02 * (2 * layers) ** -0.5)  # type: ignore[arg-type]

    @property
    def length(self) -> int | None:
        """The most tokens that it takes; None where its positions end nowhere."""
        return self.position.length if isinstance(self.position, LearnedPositions) else None

    def states(
        self, tokens: Int[Tensor, "batch time"], cache: Cache | None = None
    ) -> Float[Tensor, "batch time width"]:
        """What the head reads."""
        x = self.words(tokens)
        if not isinstance(self.position, Relation):
            x = self.position(x, None if cache is None else cache.start)
        x = self.drop(x)
        for block in self.blocks:
            x = block(x, cache=cache)
        return self.norm(x)

    def forward(
        self, tokens: Int[Tensor, "batch time"], cache: Cache | None = None
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Args: cache: of the tokens before these, while a text is made."""
        return self.logits(self.states(tokens, cache))

    def memory(self, batch: int, room: int) -> Memory:
        """For telling texts: so many, of so many tokens each.

        Raises:
            ValueError: there are fewer places than that.
        """
        check_room(self.position, room)
        return GPTMemory(self, batch, room)


class GPTMemory(Memory):
    """Args: batch: texts; room: tokens that one may have."""

    def __init__(self, model: GPT, batch: int, room: int):
        self.model = model
        self.cache = Cache(batch, room, model.words.weight.device)

    def tell(
        self, tokens: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch vocabulary"]:
        states = self.model.states(tokens, self.cache)
        self.cache.advance(tokens.shape[1] if lengths is None else lengths)
        return self.model.logits(last(states, lengths))

    def choose(self, rows: Int[Tensor, "batch"]) -> None:
        self.cache.choose(rows)

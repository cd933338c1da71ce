"""DiT (Peebles and Xie 2023, "Scalable diffusion models with transformers"): a picture's squares as tokens, and blocks
whose norms are shifted, scaled and gated by what is told (section 3.2, "adaLN-Zero")."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from descend.models.generative.conditions import Kept, TimeEmbedding, Words
from descend.nn import GELU, Attention, FeedForward, PatchEmbed, SiLU, SinusoidalGrid


class DiTBlock(nn.Module):
    """x ← x + gate·f(norm(x)·(1 + scale) + shift), for attention and for the network of each token; between them, words
    may be asked. Six vectors of width come from what is told.

    Args:
        width: of a token.
        heads: of attention.
        hidden: of the network for each token.
        context_width: of the words; no words if None.
    """

    def __init__(self, width: int, heads: int, hidden: int, context_width: int | None = None):
        super().__init__()
        self.width = width
        self.heads = heads
        self.hidden = hidden
        self.context_width = context_width
        self.told = nn.Sequential(SiLU(), nn.Linear(width, 6 * width))
        self.attention = Attention(width, heads)
        self.feed = FeedForward(width, hidden, GELU())
        self.cross = None if context_width is None else Attention(width, heads, context_width)

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        vector: Float[Tensor, "batch width"],
        words: Words | None = None,
        kept: Kept | None = None,
    ) -> Float[Tensor, "batch time width"]:
        scale, shift, gate, scale2, shift2, gate2 = self.told(vector)[:, None].chunk(6, 2)
        x = x + gate * self.attention(_normed(x) * (1 + scale) + shift)
        if self.cross is not None and words is not None:
            x = x + self.cross(_normed(x), words, None if kept is None else kept[:, None, None])
        return x + gate2 * self.feed(_normed(x) * (1 + scale2) + shift2)


class DiT(nn.Module):
    """Says of a noisy picture what is to be taken away, as `DenoisingUNet` does.

    Args:
        channels: of the picture.
        width: of a token, divisible by 4.
        depth: blocks.
        heads: of each attention.
        patch: side of a square, in pixels.
        context_width: of the words that may be asked; none if None.

    Raises:
        ValueError: squares do not tile the picture.
    """

    def __init__(
        self, channels: int, width: int, depth: int, heads: int, patch: int = 2, context_width: int | None = None
    ):
        super().__init__()
        self.channels = channels
        self.width = width
        self.depth = depth
        self.heads = heads
        self.patch = patch
        self.context_width = context_width
        self.embed = PatchEmbed(channels, width, patch)
        self.grid = SinusoidalGrid(width)
        self.time = TimeEmbedding(width)
        self.blocks = nn.ModuleList(DiTBlock(width, heads, 4 * width, context_width) for _ in range(depth))
        self.told = nn.Sequential(SiLU(), nn.Linear(width, 2 * width))
        self.head = nn.Linear(width, channels * patch**2)
        # Glorot and Bengio 2010 for the maps; gates, shifts and the answer begin at 0, so that every block hands on
        # what it is given (section 3.2).
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        # So does what words say, which no gate holds back.
        words = [block.cross.out for block in self.blocks if block.cross is not None]  # type: ignore[union-attr]
        for linear in (*words, *(block.told[1] for block in self.blocks), self.told[1], self.head):  # type: ignore[index, union-attr]
            nn.init.zeros_(linear.weight)  # type: ignore[arg-type]

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        time: Float[Tensor, "batch"],
        vector: Float[Tensor, "batch told"] | None = None,
        words: Words | None = None,
        kept: Kept | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        told = self.time(time)
        told = told if vector is None else told + vector
        tokens = self.grid(self.embed(x))
        rows, columns = tokens.shape[2:]
        y = tokens.flatten(2).mT
        for block in self.blocks:
            y = block(y, told, words, kept)
        scale, shift = self.told(told)[:, None].chunk(2, 2)
        y = self.head(_normed(y) * (1 + scale) + shift)
        return functional.pixel_shuffle(y.mT.unflatten(2, (rows, columns)), self.patch)


def _normed(x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
    return functional.layer_norm(x, x.shape[-1:])

"""A network for tables: numbers bent into pieces, categories looked up, several cheap members that vote.

Trees beat plain networks on tables because targets jump along single columns, which a smooth map of raw numbers learns
slowly. Two remedies (Gorishniy et al. 2022, "On embeddings for numerical features", section 3.3; Gorishniy et al. 2025,
"TabM", section 3): each number becomes periodic features sin(2π·c·x), cos(2π·c·x) of learned frequencies c and then a
linear layer with ReLU of its own; and `members` networks share all weights but the scales and biases of every layer,
((r_k ∘ x) W) ∘ s_k + b_k, and answer by their mean, which is also what the loss sees.

Scales, biases and frequencies are kept as vectors, so that no optimizer takes them for maps between hidden spaces: they
do not decay, and Muon leaves them to AdamW.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.nn import He, initialise


class Periodic(nn.Module):
    """Each number x of its own column → ReLU(W_c [sin 2πfx, cos 2πfx, x] + b_c).

    Args:
        columns: how many numbers.
        frequencies: per column.
        width: features that come out, per column.
        sigma: standard deviation of the first frequencies; the higher, the finer the steps it sees at once.
    """

    def __init__(self, columns: int, frequencies: int = 8, width: int = 8, sigma: float = 0.3):
        super().__init__()
        self.columns = columns
        self.frequencies = frequencies
        self.width = width
        self.sigma = sigma
        self.frequency = nn.Parameter(torch.empty(columns * frequencies))
        self.weight = nn.Parameter(torch.empty(columns, 2 * frequencies + 1, width))
        self.bias = nn.Parameter(torch.zeros(columns * width))
        # The frequencies as in the paper; each column's own layer keeps the variance through its ReLU (He et al. 2015).
        nn.init.trunc_normal_(self.frequency, std=sigma, a=-3 * sigma, b=3 * sigma)
        nn.init.normal_(self.weight, std=math.sqrt(2 / (2 * frequencies + 1)))

    def forward(self, x: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch columns width"]:
        angle = 2 * math.pi * self.frequency.view(self.columns, -1) * x[:, :, None]
        waves = torch.cat([angle.sin(), angle.cos(), x[:, :, None]], 2)
        return torch.relu(torch.einsum("bcf,cfw->bcw", waves, self.weight) + self.bias.view(self.columns, -1))


class Members(nn.Module):
    """A linear layer for several members at once: one matrix, a scale of inputs and outputs and a bias a member.

    Wen et al. 2020, "BatchEnsemble", eq. 1.
    """

    def __init__(self, members: int, features: int, width: int):
        super().__init__()
        self.members = members
        self.features = features
        self.width = width
        self.map = nn.Linear(features, width, bias=False)
        self.inner = nn.Parameter(torch.ones(members * features))
        self.outer = nn.Parameter(torch.ones(members * width))
        self.bias = nn.Parameter(torch.zeros(members * width))

    def forward(self, x: Float[Tensor, "batch members features"]) -> Float[Tensor, "batch members width"]:
        inner, outer, bias = (scale.view(self.members, -1) for scale in (self.inner, self.outer, self.bias))
        return self.map(x * inner) * outer + bias


class TableNet(nn.Module):
    """Numbers and categories in, ``out`` numbers out.

    Args:
        numbers: how many numbers a row holds.
        cardinalities: for every category column, how many values, the unknown (0) among them.
        out: numbers that come out.
        hidden: widths of the hidden layers.
        members: networks that share the weights; 1 is a plain MLP.
        dropout: after every hidden layer, 0 ≤ p < 1.
    """

    def __init__(
        self,
        numbers: int,
        cardinalities: tuple[int, ...] = (),
        out: int = 1,
        hidden: tuple[int, ...] = (128, 128),
        members: int = 8,
        dropout: float = 0.1,
    ):
        super().__init__()
        if numbers + len(cardinalities) == 0:
            raise ValueError("TableNet: a row without a number and without a category has nothing to learn from")
        self.numbers = numbers
        self.cardinalities = cardinalities
        self.out = out
        self.hidden = hidden
        self.members = members
        self.dropout = dropout
        self.periodic = Periodic(numbers) if numbers else None
        tables = [nn.Embedding(n, min(16, math.ceil(1.6 * n**0.56))) for n in cardinalities]
        features = (numbers * self.periodic.width if self.periodic else 0) + sum(t.embedding_dim for t in tables)
        widths = (features, *hidden)
        layers = [Members(members, a, b) for a, b in zip(widths, hidden, strict=False)]
        self.tables = nn.ModuleList(tables)
        self.body = nn.ModuleList(layers)
        self.head = nn.Parameter(torch.empty(members, widths[-1], out))
        self.head_bias = nn.Parameter(torch.zeros(members * out))
        # He's scheme for the ReLUs; the first inputs' scales are drawn, of variance 1, which is what makes the members
        # differ; small heads, so that no class is favoured; an unknown category begins at 0, as if it were not there.
        initialise(self.body, He())
        if members > 1 and layers:
            nn.init.normal_(layers[0].inner)
        nn.init.normal_(self.head, std=1 / math.sqrt(3 * widths[-1]))
        for table in tables:
            nn.init.zeros_(table.weight[0])

    def each(
        self, numbers: Float[Tensor, "batch numbers"], categories: Int[Tensor, "batch columns"]
    ) -> Float[Tensor, "batch members out"]:
        """Every member's own answer."""
        parts = [self.periodic(numbers).flatten(1)] if self.periodic is not None else []
        parts += [table(categories[:, i]) for i, table in enumerate(self.tables)]
        x = torch.cat(parts, 1)[:, None].expand(-1, self.members, -1)
        for layer in self.body:
            x = nn.functional.dropout(torch.relu(layer(x)), self.dropout, self.training)
        return torch.einsum("bmf,mfo->bmo", x, self.head) + self.head_bias.view(self.members, -1)

    def forward(
        self, numbers: Float[Tensor, "batch numbers"], categories: Int[Tensor, "batch columns"]
    ) -> Float[Tensor, "batch out"]:
        return self.each(numbers, categories).mean(1)

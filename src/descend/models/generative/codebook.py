"""A codebook: every place of a map is drawn to the nearest of K vectors, and is then told by that vector's number.

    code = argmin_k ‖x - e_k‖²,    q = e_code          (van den Oord et al. 2017, "Neural discrete representation
                                                        learning", eq. 1 and 2)

The vectors are no parameters. Each is the moving average of what chose it (appendix A.1 of the paper):

    N_k ← γ·N_k + (1-γ)·n_k,    m_k ← γ·m_k + (1-γ)·Σ x,    e_k = m_k / N_k

over the n_k places x of a batch that chose k. As both begin at 0, the first batch's own means are the first vectors.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

LEAST = 0.01
"""Share of an even use below which an entry counts as unused."""


class Codebook(nn.Module):
    """Maps whose places are entries; backwards the gradient passes straight through, as if nothing had been done.

    >>> book = Codebook(256, 16)
    >>> book.follow(*book.tally(maps), spare=maps.movedim(1, -1).flatten(0, -2)[:256])

    Args:
        entries: K, how many there are.
        width: numbers of each.
        decay: γ, in [0, 1); 0 makes each entry the mean of the last batch's places that chose it.
    """

    entry: Tensor
    count: Tensor
    total: Tensor

    def __init__(self, entries: int, width: int, decay: float = 0.99):
        super().__init__()
        if entries < 2 or not 0 <= decay < 1:
            raise ValueError(f"Codebook of {entries} entries, decay {decay}: give 2 entries or more, 0 ≤ decay < 1")
        self.entries = entries
        self.width = width
        self.decay = decay
        # Directions drawn alike from all, about as long as a normalised layer's numbers; the first batch that is
        # followed replaces them.
        self.register_buffer("entry", torch.randn(entries, width))
        self.register_buffer("count", torch.zeros(entries))
        self.register_buffer("total", torch.zeros(entries, width))

    def codes(self, x: Float[Tensor, "batch width *places"]) -> Int[Tensor, "batch *places"]:
        """The number of the nearest entry, place by place; in float32 at least, whatever the networks compute in."""
        wide = torch.promote_types(torch.promote_types(x.dtype, self.entry.dtype), torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            rows, entry = x.movedim(1, -1).to(wide), self.entry.to(wide)
            # ‖x‖² is the same for all entries.
            return (entry.square().sum(1) - 2 * (rows @ entry.mT)).argmin(-1)

    def vectors(self, codes: Int[Tensor, "batch *places"]) -> Float[Tensor, "batch width *places"]:
        """The entries of these numbers."""
        return functional.embedding(codes, self.entry).movedim(-1, 1)

    def forward(self, x: Float[Tensor, "batch width *places"]) -> Float[Tensor, "batch width *places"]:
        return x + (self.vectors(self.codes(x)) - x).detach()

    def tally(
        self, x: Float[Tensor, "batch width *places"]
    ) -> tuple[Float[Tensor, "entries"], Float[Tensor, "entries width"]]:
        """How many places chose each entry, and their sum."""
        chosen = functional.one_hot(self.codes(x).flatten(), self.entries).to(x.dtype)
        return chosen.sum(0), chosen.mT @ x.movedim(1, -1).reshape(-1, self.width)

    def follow(
        self,
        counts: Float[Tensor, "entries"],
        sums: Float[Tensor, "entries width"],
        spare: Float[Tensor, "entries width"],
    ) -> None:
        """Move the entries towards what chose them.

        Args:
            counts, sums: of `tally`.
            spare: where entries that hardly anything chooses any more begin anew, each at a row of its own.
        """
        self.count.mul_(self.decay).add_((1 - self.decay) * counts)
        self.total.mul_(self.decay).add_((1 - self.decay) * sums)
        even = self.count.mean()
        unused = (self.count < LEAST * even)[:, None]
        # An entry begins as one that is used as much as others, so that it has time to be chosen.
        self.count.copy_(torch.where(unused[:, 0], even, self.count))
        self.total.copy_(torch.where(unused, even * spare, self.total))
        self.entry.copy_(self.total / self.count[:, None])

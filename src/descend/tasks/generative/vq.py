"""Discrete codes: a picture as a small grid of numbers out of K (van den Oord et al. 2017, "VQ-VAE").

The encoder's maps are drawn to the entries of a codebook, and the decoder makes the picture of these. Learned is

    - log p(x | entries) + β · ‖maps - sg(entries)‖² - log p(codes)            (eq. 3; sg: taken as fixed)

the first term through the entries straight to the encoder, as if they were its own maps; the second keeps the maps near
the entries, which follow as moving averages (`models.Codebook`). The third teaches a prior, which tells each code by
those before it, row by row; codes are whole numbers, so that it moves nothing else. As each picture has one code alone,

    log p(x) ≥ ELBO = log p(x | entries) + log p(codes).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from descend.data import Batch
from descend.engine import Descent, Max, Metrics
from descend.functional import Mean, keyed
from descend.models import GPT, Codebook, MapDecoder, MapEncoder
from descend.optim import Optimizer
from descend.tasks.generative.autoencode import check_pictures
from descend.tasks.generative.generative import Generative, Pictures, asked_for, evaluating
from descend.tasks.generative.vae import Bernoulli, Likelihood

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

Grid = Int[Tensor, "batch rows columns"]


class VQ(Generative):
    """Learns codes of pictures, and in the same steps which codes there are, so that new pictures can be made.

    >>> shape = (1, 28, 28)                                           # 7×7 codes of 128
    >>> prior = GPT(128 + 1, 64, 4, 2, LearnedPositions(49, 64))      # one token more: the one that begins
    >>> task = VQ(MapEncoder(shape, 16), Codebook(128, 16), MapDecoder(16, shape), prior, AdamW(1e-3))

    Args:
        encoder: gives maps for ``x``.
        codebook: its entries are as wide as the maps; no descent moves them.
        decoder: gives what the likelihood takes for maps of entries.
        prior: tells codes; its last token begins.
        optimizer: how encoder, decoder and prior are moved.
        likelihood: `Bernoulli()` for pictures of 0 and 1, `Gaussian(sigma)` for grey ones.
        commitment: β.
    """

    goal = Max("elbo")
    answers = True

    def __init__(
        self,
        encoder: MapEncoder,
        codebook: Codebook,
        decoder: MapDecoder,
        prior: GPT,
        optimizer: Optimizer,
        likelihood: Likelihood = Bernoulli(),
        commitment: float = 0.25,
    ):
        super().__init__()
        places = math.prod(decoder.grid)
        if prior.vocabulary != codebook.entries + 1 or (prior.length is not None and prior.length < places):
            raise ValueError(
                f"the prior knows {prior.vocabulary} tokens, {prior.length} in a row, and is to tell {places} codes of "
                f"{codebook.entries}: GPT({codebook.entries + 1}, …, LearnedPositions({places}, …))"
            )
        if not encoder.out == codebook.width == decoder.width:
            raise ValueError(
                f"the encoder's maps have {encoder.out} channels, the codebook's entries {codebook.width} numbers, and "
                f"the decoder takes {decoder.width}: they must be as many"
            )
        self.encoder = encoder
        self.codebook = codebook
        self.decoder = decoder
        self.prior = prior
        self.optimizer = optimizer
        self.likelihood = likelihood
        self.commitment = commitment
        self.shape = decoder.shape
        # The codebook has no parameters; its entries are averaged with the weights, where an optimizer averages.
        self.descent = Descent([encoder, decoder, prior, codebook], optimizer)

    def maps(self, x: Pictures) -> Float[Tensor, "batch numbers rows columns"]:
        check_pictures(self, x, self.decoder)
        return self.encoder(x).float()

    def forward(self, x: Pictures) -> Pictures:
        """The pictures made of the codes."""
        return self.likelihood.mean(self.decoder(self.codebook(self.maps(x))).float())

    def loss(self, batch: Batch) -> dict[str, Mean]:
        """In nats a picture, but for the commitment."""
        x = batch["x"]
        maps = self.maps(x)
        entries = self.codebook(maps)
        rebuilt = -self.likelihood.log_prob(self.decoder(entries).float(), x)
        apart = (maps - entries.detach()).square().flatten(1).sum(1)
        return {
            "reconstruction": Mean.of(rebuilt),
            "commitment": self.commitment * Mean.of(apart),
            "rate": Mean.of(self.rate(self.codebook.codes(maps))),
        }

    def step(self, batch: Batch) -> Metrics:
        """One update of the networks; then the codebook follows what chose its entries, by the maps from before."""
        with torch.no_grad():
            maps = self.maps(batch["x"])
            rows = maps.movedim(1, -1).flatten(0, -2)
            spare = rows[torch.randint(len(rows), (self.codebook.entries,), device=rows.device)]
            ranks = self.descent.ranks
            # Rank 0 alone says where unused entries begin anew, so that all have the same.
            found = ranks.sum([*self.codebook.tally(maps), spare * (ranks.rank == 0)])
        metrics = super().step(batch)
        self.codebook.follow(*found)
        return metrics

    def rate(self, codes: Grid) -> Float[Tensor, "batch"]:
        """-log p(codes) by the prior, in nats."""
        tokens = codes.flatten(1)
        begin = torch.full_like(tokens[:, :1], self.codebook.entries)
        logits = self.prior(torch.cat([begin, tokens[:, :-1]], 1)).float()
        return functional.cross_entropy(logits.movedim(2, 1), tokens, reduction="none").sum(1)

    def predict(self, **inputs: Tensor) -> Pictures:
        """The pictures again, 0 … 1."""
        with torch.no_grad():
            return self(**inputs).clamp(0, 1)

    def metrics(self) -> MetricCollection:
        """``elbo``, and the ``rate`` in it that the codes cost: in nats, the means over pictures."""
        from torchmetrics import MeanMetric, MetricCollection

        return MetricCollection({"elbo": MeanMetric(), "rate": MeanMetric()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        codes, x = self.codes(batch["x"]), batch["x"]
        rate, outputs = self.rate(codes), self.decoder(self.codebook.vectors(codes)).float()
        metrics["rate"].update(rate)
        metrics["elbo"].update(self.likelihood.log_prob(outputs, x) - rate)

    def sample(self, count: int, seed: int = 0, asked: Batch | None = None) -> Pictures:
        """The pictures of codes that the prior tells, each the mean of its likelihood.

        Raises:
            ValueError: something is asked for: it learns without classes.
        """
        asked_for(asked, count, None)
        device, places = self.progress.device, math.prod(self.decoder.grid)
        keys = keyed.hashed(torch.arange(count, device=device), seed)
        tokens = torch.full((count, 1), self.codebook.entries, device=device)
        with evaluating(self):
            memory = self.prior.memory(count, places)
            for place in range(places):
                # The token that begins is none of the codes.
                chances = memory.tell(tokens[:, -1:])[:, :-1].float().softmax(1).cumsum(1)
                point = keyed.uniform(keys, place)[:, None] * chances[:, -1:]
                drawn = (chances <= point).sum(1, keepdim=True).clamp(max=self.codebook.entries - 1)
                tokens = torch.cat([tokens, drawn], 1)
        return self.decoded(tokens[:, 1:].view(count, *self.decoder.grid))

    def codes(self, x: Pictures) -> Grid:
        """The number of the entry at each place, in evaluation mode and without gradients."""
        with evaluating(self):
            return self.codebook.codes(self.maps(x))

    def decoded(self, codes: Grid) -> Pictures:
        """Pictures of 0 … 1 of codes, in evaluation mode and without gradients."""
        with evaluating(self):
            return self.likelihood.mean(self.decoder(self.codebook.vectors(codes)).float()).clamp(0, 1)

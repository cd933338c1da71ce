"""Variational autoencoders: a picture x is thought to come from a few numbers z.

    p(x) = ∫ p(x|z) p(z) dz ≥ ELBO = E_q [log p(x|z)] - KL(q(z|x) ‖ p(z)),    p(z) = N(0, 1),  q(z|x) = N(μ(x), σ²(x))

(Kingma and Welling 2014, eq. 3 and 10). With weights w_k = p(x|z_k) p(z_k) / q(z_k|x) of K draws from q the bound

    E [log (1/K) Σ w_k]

rises with K to log p(x), and is the ELBO for K = 1 (Burda et al. 2016, "Importance weighted autoencoders", eq. 8). A
weight β above 1 of the KL makes codes of fewer and more separate numbers (Higgins et al. 2017, eq. 4).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from descend.data import Batch
from descend.engine import Descent, Max
from descend.functional import Mean, keyed
from descend.models import Decoder
from descend.optim import Optimizer
from descend.tasks.generative.autoencode import check_pictures
from descend.tasks.generative.generative import FromNoise, Pictures, arc, asked_for, content, evaluating, numbers

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

Codes = Float[Tensor, "batch latents *grid"]


class Likelihood(ABC):
    """p(x|z): how a picture is drawn from what the decoder gives."""

    @abstractmethod
    def log_prob(self, outputs: Pictures, x: Pictures) -> Float[Tensor, "batch"]:
        """log p(x|z) of each picture, in nats."""

    @abstractmethod
    def mean(self, outputs: Pictures) -> Pictures: ...


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Each number is 0 or 1, and the decoder gives its logit. For binary pictures; of grey ones the bound is none."""

    def log_prob(self, outputs: Pictures, x: Pictures) -> Float[Tensor, "batch"]:
        return -binary_cross_entropy_with_logits(outputs, x, reduction="none").sum((1, 2, 3))

    def mean(self, outputs: Pictures) -> Pictures:
        return outputs.sigmoid()


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Each number is normal around the one that the decoder gives, with this standard deviation for all."""

    sigma: float = 0.1

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"Gaussian: sigma is {self.sigma}: it must be above 0, in the pictures' own unit, 0 … 1")

    def log_prob(self, outputs: Pictures, x: Pictures) -> Float[Tensor, "batch"]:
        error = mse_loss(outputs, x, reduction="none").sum((1, 2, 3))
        return -error / (2 * self.sigma**2) - x[0].numel() * math.log(self.sigma * math.sqrt(2 * math.pi))

    def mean(self, outputs: Pictures) -> Pictures:
        return outputs


@dataclass(frozen=True)
class Posterior:
    """q(z|x): a normal for each number of each code."""

    mean: Codes
    std: Codes

    @classmethod
    def of(cls, encoded: Float[Tensor, "batch both *grid"]) -> Posterior:
        """From means and log variances."""
        mean, log_variance = encoded.float().chunk(2, 1)
        return cls(mean, (0.5 * log_variance).exp())

    def kl(self) -> Float[Tensor, "batch"]:
        """KL(q ‖ N(0, 1)) (Kingma and Welling 2014, appendix B)."""
        return 0.5 * (self.mean.square() + self.std.square() - 1 - 2 * self.std.log()).flatten(1).sum(1)

    def log_ratio(self, noise: Codes) -> Float[Tensor, "batch"]:
        """log p(z) - log q(z|x) at z = mean + std · noise."""
        z = self.mean + self.std * noise
        return (0.5 * (noise.square() - z.square()) + self.std.log()).flatten(1).sum(1)


class VAE(FromNoise):
    """Learns to make pictures of normal numbers, and which numbers a picture is made of.

    >>> encoder, decoder = ConvEncoder((1, 28, 28), 2 * 16), ConvDecoder(16, (1, 28, 28))
    >>> task = VAE(encoder, decoder, AdamW(1e-3, schedule=Cosine()))

    Args:
        encoder: gives a code's means and log variances for ``x``: [batch, 2 · width], or maps of so many channels.
        decoder: gives what the likelihood takes for codes: [batch, width], or maps.
        optimizer: how both are moved.
        likelihood: `Bernoulli()` for pictures of 0 and 1, `Gaussian(sigma)` for grey ones.
        beta: β, weight of the KL while learning; bounds are measured with 1.
        draws: K of the importance-weighted bound.
    """

    goal = Max("elbo")
    answers = True

    def __init__(
        self,
        encoder: nn.Module,
        decoder: Decoder,
        optimizer: Optimizer,
        likelihood: Likelihood = Bernoulli(),
        beta: float = 1.0,
        draws: int = 64,
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.optimizer = optimizer
        self.likelihood = likelihood
        self.beta = beta
        self.draws = draws
        self.shape = decoder.shape
        self.descent = Descent([encoder, decoder], optimizer)

    def posterior(self, x: Pictures) -> Posterior:
        check_pictures(self, x, self.decoder)
        encoded = self.encoder(x)
        if encoded.shape[1] != 2 * self.decoder.width:
            raise ValueError(
                f"the encoder gives {encoded.shape[1]} numbers, and the decoder takes {self.decoder.width}: the "
                f"encoder must give twice as many, {2 * self.decoder.width}, means and log variances"
            )
        return Posterior.of(encoded)

    def forward(self, x: Pictures) -> Pictures:
        """The pictures made of the posteriors' means."""
        return self.likelihood.mean(self.decoder(self.posterior(x).mean).float())

    def loss(self, batch: Batch) -> dict[str, Mean]:
        """The negative ELBO in nats a picture, by one draw, in its two parts."""
        x = batch["x"]
        posterior = self.posterior(x)
        z = posterior.mean + posterior.std * torch.randn_like(posterior.mean)
        rebuilt = -self.likelihood.log_prob(self.decoder(z).float(), x)
        return {"reconstruction": Mean.of(rebuilt), "kl": self.beta * Mean.of(posterior.kl())}

    def predict(self, **inputs: Tensor) -> Pictures:
        """The pictures again, 0 … 1."""
        with torch.no_grad():
            return self(**inputs).clamp(0, 1)

    def log_weights(self, x: Pictures, draws: int) -> Float[Tensor, "draws batch"]:
        """log w_k of each picture, without gradients. A picture's draws depend on its own content alone, so that
        bounds are the same in any batch, every time."""
        with torch.no_grad():
            posterior, keys = self.posterior(x), content(x)
            found = []
            for draw in range(draws):
                noise = keyed.normals(keyed.hashed(keys, draw), posterior.mean[0].numel()).view_as(posterior.mean)
                outputs = self.decoder(posterior.mean + posterior.std * noise).float()
                found.append(self.likelihood.log_prob(outputs, x) + posterior.log_ratio(noise))
        return torch.stack(found)

    def metrics(self) -> MetricCollection:
        """``elbo`` and ``iwae`` with K draws, ``kl``: in nats, the means over pictures; ``psnr`` in dB, of the pictures
        that are made of the posteriors' means."""
        from torchmetrics import MeanMetric, MetricCollection

        from descend.metrics import PSNR

        means = {name: MeanMetric() for name in ("elbo", "iwae", "kl")}
        return MetricCollection({**means, "psnr": PSNR()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        weights = self.log_weights(batch["x"], self.draws)
        metrics["elbo"].update(weights.mean(0))
        metrics["iwae"].update(weights.logsumexp(0) - math.log(self.draws))
        metrics["kl"].update(self.posterior(batch["x"]).kl())
        metrics["psnr"].update(self(batch["x"]).clamp(0, 1), batch["x"])

    def sample(self, count: int, seed: int = 0, asked: Batch | None = None) -> Pictures:
        """The pictures that normal numbers are the codes of, each the mean of its likelihood.

        Raises:
            ValueError: something is asked for: it learns without classes.
        """
        asked_for(asked, count, None)
        return self.decoded(numbers(count, self.decoder.code, seed, self.progress.device))

    def walk(self, steps: int, seed: int = 0, asked: Batch | None = None) -> Pictures:
        asked_for(asked, steps, None)
        return self.decoded(arc(numbers(2, self.decoder.code, seed, self.progress.device), steps))

    def traverse(
        self, x: Float[Tensor, "channels height width"], latent: int, values: Float[Tensor, "steps"]
    ) -> Float[Tensor, "steps channels height width"]:
        """One picture, with one number (or map) of its code at each of these values, and all others as they are.

        Raises:
            ValueError: there is no such number.
        """
        if not 0 <= latent < self.decoder.width:
            raise ValueError(
                f"there is no latent {latent}: a code has {self.decoder.width}, 0 … {self.decoder.width - 1}"
            )
        z = self.codes(x[None]).repeat_interleave(len(values), 0)
        z[:, latent] = values.to(z).view(-1, *[1] * (z.ndim - 2))
        return self.decoded(z)

    def interpolate(
        self,
        first: Float[Tensor, "channels height width"],
        second: Float[Tensor, "channels height width"],
        steps: int = 8,
    ) -> Float[Tensor, "steps channels height width"]:
        """From one picture to another, both among them, on the straight line between their codes."""
        one, other = self.codes(torch.stack([first, second]))
        share = torch.linspace(0, 1, steps, device=one.device).view(-1, *[1] * one.ndim)
        return self.decoded((1 - share) * one + share * other)

    def codes(self, x: Pictures) -> Codes:
        """The posteriors' means, in evaluation mode and without gradients."""
        with evaluating(self):
            return self.posterior(x).mean

    def decoded(self, z: Codes) -> Pictures:
        """Pictures of 0 … 1 of codes, in evaluation mode and without gradients."""
        with evaluating(self):
            return self.likelihood.mean(self.decoder(z).float()).clamp(0, 1)

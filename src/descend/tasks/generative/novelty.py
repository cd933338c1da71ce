"""What is odd, learned from what is normal alone.

A network learns to take noise out of normal pictures. It then draws any picture towards those that it knows, and how
far it moves one is how odd that one is:

    score(x) = mean (r(x) - x)²,    r = argmin E ‖r(x + σε) - x‖²

With small noise, r(x) - x is σ² times the gradient of log p(x) (Alain and Bengio 2014, theorem 1): an odd picture lies
where p rises steeply. Without noise a network that is wide enough would give back whatever comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.data import Batch, Codec, NoveltyCodec, Splits
from descend.engine import Descent, Max, Predictor, Task
from descend.functional import Mean
from descend.models import Decoder
from descend.optim import Optimizer
from descend.tasks.generative.autoencode import check_pictures

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

Pictures = Float[Tensor, "batch channels height width"]
USUAL = 0.95
"""Share of the training pictures that are not to be called odd."""


class Novelty(Task):
    """Learns each kind of normal pictures by a network of its own, which never sees another kind.

    >>> networks = tuple(MLPDecoder(784, 256, shape=(1, 28, 28)) for _ in range(10))
    >>> task = Novelty(networks, AdamW(3e-3, schedule=OneCycle()))

    Args:
        networks: one for each kind; gives pictures for pictures of 0 … 1.
        optimizer: how all are moved; each weight's gradient comes from its own kind alone, so no clipping of all.
        sigma: of the noise.
    """

    goal = Max("auroc")
    networks: tuple[Decoder, ...]

    def __init__(self, networks: tuple[Decoder, ...], optimizer: Optimizer, sigma: float = 0.3):
        super().__init__()
        vars(self)["networks"] = networks
        self.optimizer = optimizer
        self.sigma = sigma
        self.kinds = nn.ModuleList(networks)
        self.descent = Descent(self.kinds, optimizer)

    def forward(self, x: Pictures) -> Float[Tensor, "batch kinds"]:
        """How odd each picture is for each kind: the mean squared change of its numbers."""
        check_pictures(self, x, self.networks[0])
        moved = [(network(x).float() - x).square().flatten(1).mean(1) for network in self.networks]
        return torch.stack(moved, 1)

    def loss(self, batch: Batch) -> Mean:
        """The squared error of what was made of noisy pictures, averaged over all their numbers."""
        x, target = batch["x"], batch["target"]
        check_pictures(self, x, self.networks[0])
        if not bool(((target >= 0) & (target < len(self.networks))).all()):
            raise ValueError(
                f"a target is {int(target.min())} … {int(target.max())}, and there are {len(self.networks)} kinds of "
                "normal pictures: training pictures are of kinds 0 and on, and none is odd"
            )
        noisy, total = x + self.sigma * torch.randn_like(x), x.new_zeros(())
        for kind, network in enumerate(self.networks):
            rows = (target == kind).nonzero().flatten()
            check_pictures(self, x[rows], network)
            total = total + (network(noisy[rows]).float() - x[rows]).square().sum()
        return Mean(total, x.numel())

    def metrics(self) -> MetricCollection:
        """``auroc``, the mean over kinds, each against all pictures of other targets; that of ``each``, if several."""
        from torchmetrics import MetricCollection

        from descend.metrics import AUROC, MeanAUROC

        each = {"each": AUROC()} if len(self.networks) > 1 else {}
        return MetricCollection({"auroc": MeanAUROC(), **each}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        target = batch["target"]
        scores = self(batch["x"])
        odd = target[:, None] != torch.arange(len(self.networks), device=target.device)
        for metric in metrics.values(copy_state=False):
            metric.update(scores, odd)

    def complete(self, codec: Codec, data: Splits) -> Codec:
        """A `NoveltyCodec` gets to know, for each kind, the score that `USUAL` of its training pictures stay below."""
        if not isinstance(codec, NoveltyCodec):
            return codec
        predictor, found = Predictor(self), []
        for index in torch.arange(len(data.train)).split(1000):
            part = data.train.gather(index)
            scores = predictor.outputs(x=part["x"]).cpu()
            found.append(torch.stack([scores.gather(1, part["target"].cpu()[:, None])[:, 0], part["target"].cpu()]))
        scores, kinds = torch.cat(found, 1)
        limits = [scores[kinds == kind].quantile(USUAL).item() for kind in range(len(self.networks))]
        return codec.knowing(tuple(limits))

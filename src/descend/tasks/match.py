"""Which caption belongs to which picture: both become points of one space, a pair's near each other.

    minimise  ½·(CE over captions of each picture + CE over pictures of each caption) of  e^s · ⟨a_i, b_j⟩

over all pairs of a batch, with points of length 1 (Radford et al. 2021, "Learning transferable visual models from
natural language supervision", figure 3). The scale e^s is learned with the rest, and kept at 100 or less (section 2.5).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from descend.data import Batch
from descend.engine import Descent, Max, Task
from descend.functional import Mean
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

MOST = 100.0
"""Of the scale: more lets single pairs decide."""

Pictures = Float[Tensor, "batch channels height width"]
Points = Float[Tensor, "batch numbers"]


class Contrast(nn.Module):
    """The loss of pairs against all other pairs of the batch, which so are coupled.

    Args: temperature: 1 / e^s at first.
    """

    def __init__(self, temperature: float = 0.07):
        super().__init__()
        self.temperature = temperature
        # As the paper begins (section 2.5): log(1 / 0.07).
        self.scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, a: Points, b: Points) -> Mean:
        if len(a) < 2:
            raise ValueError("one pair has nothing to be told from: learn from batches of 2 or more")
        scores = self.scale.clamp(max=math.log(MOST)).exp() * a @ b.mT
        own = torch.arange(len(a), device=a.device)
        both = sum(functional.cross_entropy(each, own, reduction="sum") for each in (scores, scores.mT))
        return Mean(both / 2, len(a), coupled=True)  # type: ignore[arg-type]


class Match(Task):
    """Learns which caption belongs to which picture, by networks for both.

    >>> task = Match(ResNet(3, 128, (1, 1, 1)), CaptionEncoder(384, 128), Contrast(), AdamW(1e-3))

    Args:
        pictures: from ``x`` to [batch, width].
        texts: from ``words`` or ``tokens``, and ``kept``, to [batch, width], as `CaptionEncoder`.
        learn: gives the `Mean` that is descended for points of both, `Contrast`; what it holds is learned, too.
        optimizer: how all are moved.
        candidates: captions that a picture's own is looked for among, when asked.
    """

    goal = Max("retrieval")

    def __init__(
        self, pictures: nn.Module, texts: nn.Module, learn: nn.Module, optimizer: Optimizer, candidates: int = 100
    ):
        super().__init__()
        self.pictures = pictures
        self.texts = texts
        self.learn = learn
        self.optimizer = optimizer
        self.candidates = candidates
        self.descent = Descent([pictures, texts, learn], optimizer)

    def seen(self, x: Pictures) -> Points:
        """Points of pictures, of length 1."""
        return functional.normalize(self.pictures(x).float(), dim=1)

    def read(
        self,
        words: Float[Tensor, "batch time text_width"] | None = None,
        kept: Bool[Tensor, "batch time"] | None = None,
        tokens: Int[Tensor, "batch time"] | None = None,
    ) -> Points:
        """Points of captions, of length 1."""
        return functional.normalize(self.texts(words, kept, tokens).float(), dim=1)

    def forward(
        self,
        x: Pictures,
        words: Float[Tensor, "batch time text_width"] | None = None,
        kept: Bool[Tensor, "batch time"] | None = None,
        tokens: Int[Tensor, "batch time"] | None = None,
        sided: Bool[Tensor, "batch"] | None = None,
    ) -> Float[Tensor, "batch"]:
        """How well each caption fits its picture, -1 … 1. ``sided`` is for augmentation alone."""
        return (self.seen(x) * self.read(words, kept, tokens)).sum(1)

    def loss(self, batch: Batch) -> Mean:
        if len(batch["x"]) < 2:
            raise ValueError("one pair has nothing to be told from: learn from batches of 2 or more")
        return self.learn(self.seen(batch["x"]), self.read(**captions(batch)))

    def metrics(self) -> MetricCollection:
        """``retrieval``: how often the own caption comes first; ``retrieval10``: among the first ten."""
        from torchmetrics import MetricCollection

        from descend.metrics import Retrieval

        return MetricCollection(
            {"retrieval": Retrieval(self.candidates), "retrieval10": Retrieval(self.candidates, 10)},
            compute_groups=False,
        )

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """A loss over another number of pairs would be another loss, so there is none among the metrics."""
        seen, read = self.seen(batch["x"]), self.read(**captions(batch))
        for metric in metrics.values(copy_state=False):
            metric.update(seen, read)


def captions(batch: Batch) -> dict[str, Tensor]:
    """What a batch says of captions."""
    return {name: batch[name] for name in ("words", "kept", "tokens") if name in batch}

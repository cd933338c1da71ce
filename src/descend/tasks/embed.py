"""Metric learning: examples become points on a sphere, those of one class near each other and far from all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from descend.data import Batch, Codec, Data, EmbedCodec, Splits
from descend.engine import Descent, Min, Predictor, Task
from descend.functional import Mean
from descend.losses import arcface, semi_hard_triplet
from descend.optim import Optimizer

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class ArcFace(nn.Module):
    """A centre for each class that is learned; an embedding must be nearer to its own by an angle (`losses.arcface`).

    Args:
        classes: that are learned.
        width: numbers in an embedding.
        margin: that angle.
        scale: of the logits; 64 for thousands of classes, less for few.
    """

    def __init__(self, classes: int, width: int, margin: float = 0.5, scale: float = 64.0):
        super().__init__()
        self.classes = classes
        self.width = width
        self.margin = margin
        self.scale = scale
        self.centres = nn.Embedding(classes, width)
        # Directions drawn alike from all, of length 1: longer ones would turn more slowly.
        nn.init.normal_(self.centres.weight, std=width**-0.5)

    def forward(self, embedding: Float[Tensor, "batch width"], target: Int[Tensor, "batch"]) -> Mean:
        return arcface(embedding, target, self.centres.weight, self.margin, self.scale)


class Triplets(nn.Module):
    """The pairs of one class in a batch, each against a sample of another class (`losses.semi_hard_triplet`).

    So a batch must hold several samples of a class: `Together`, where classes are many.

    Args:
        margin: by which the other one must be farther away; distances are 0 … 2.
    """

    def __init__(self, margin: float = 0.2):
        super().__init__()
        self.margin = margin

    def forward(self, embedding: Float[Tensor, "batch width"], target: Int[Tensor, "batch"]) -> Mean:
        return semi_hard_triplet(embedding, target, self.margin)


class Embed(Task):
    """Learns to tell classes apart by where their examples lie, so that it holds for classes it never saw: whether two
    examples are of one class (verification), and which known one another is like (identification).

    >>> task = Embed(ResNet(1, 64), ArcFace(data.classes, 64), AdamW(1e-3, schedule=Cosine()))

    Args:
        model: gives embeddings [batch, width], of any length, for the batch's inputs, taken by name.
        learn: gives the `Mean` that is descended for embeddings of length 1 and their classes: `ArcFace`, `Triplets`.
            What it holds is learned with the model.
        optimizer: how both are moved.
    """

    goal = Min("eer")

    def __init__(self, model: nn.Module, learn: nn.Module, optimizer: Optimizer):
        super().__init__()
        self.model = model
        self.learn = learn
        self.optimizer = optimizer
        self.descent = Descent([model, learn], optimizer)

    def forward(self, **inputs: Tensor) -> Float[Tensor, "batch width"]:
        """Embeddings, of length 1."""
        return functional.normalize(self.model(**inputs).float(), dim=1)

    def loss(self, batch: Batch) -> Mean:
        return self.learn(self(**batch.inputs), batch["target"])

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import Identification, Verification

        return MetricCollection({"verification": Verification(), "rank1": Identification()}, compute_groups=False)

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        """Classes that were never learned have no loss, so there is none among the metrics."""
        embedding = self(**batch.inputs)
        for metric in metrics.values(copy_state=False):
            metric.update(embedding, batch["target"])

    def complete(self, codec: Codec, data: Splits) -> Codec:
        """An `EmbedCodec` gets to know everyone in the training and validation data, and the similarity that parts
        those of the validation data best, who were never learned; of the training data, where there is no other."""
        if not isinstance(codec, EmbedCodec):
            return codec
        from descend.metrics import Verification

        seen = [self.embedded(part) for part in (data.train, data.valid) if part is not None]
        verification = Verification()
        verification.update(*seen[-1])
        embeddings, targets = (torch.cat(parts) for parts in zip(*seen, strict=True))
        every = codec.names_of_all
        names = [every[target] for target in targets.tolist()]
        return codec.knowing(embeddings, names, float(verification.rates().threshold))

    def embedded(self, data: Data, batch: int = 1000) -> tuple[Float[Tensor, "n width"], Int[Tensor, "n"]]:
        """The embeddings of all samples, and their classes; in memory."""
        predictor, found = Predictor(self), []
        for index in torch.arange(len(data)).split(batch):
            part = data.gather(index)
            found.append((predictor.outputs(**part.inputs).cpu(), part["target"].cpu()))
        embeddings, targets = zip(*found, strict=True)
        return torch.cat(embeddings), torch.cat(targets)


def alike(predictor: Predictor, one: Any, other: Any) -> dict[str, Any]:
    """Whether two raw examples are of one class, known or not, and how similar they are, -1 … 1.

    >>> alike(load("runs/faces-1"), "one.png", "other.png")
    {'alike': True, 'similarity': 0.81, 'threshold': 0.47}

    Raises:
        ValueError: the predictor's codec is no `EmbedCodec`, or an example cannot be read (`BadData`).
    """
    codec = _embedding_codec(predictor)
    first, second = _embeddings(predictor, [one, other])
    similarity = float(first @ second)
    return {
        "alike": similarity >= codec.threshold,
        "similarity": round(similarity, 4),
        "threshold": round(codec.threshold, 4),
    }


def knowing(predictor: Predictor, examples: Mapping[str, Sequence[Any]]) -> Predictor:
    """The same network answering by these raw examples, by name, in place of those it knew.

    >>> knowing(load("runs/faces-1"), {"Anna": ["a1.png", "a2.png"], "Ben": ["b.png"]}).save("friends")

    Raises:
        ValueError: as `alike`.
    """
    codec = _embedding_codec(predictor)
    names = [name for name, several in examples.items() for _ in several]
    known = _embeddings(predictor, [raw for several in examples.values() for raw in several])
    return Predictor(predictor.task, codec.knowing(known, names, codec.threshold))


def _embedding_codec(predictor: Predictor) -> EmbedCodec:
    if not isinstance(predictor.codec, EmbedCodec):
        raise ValueError(
            f"the predictor's codec is {type(predictor.codec).__name__}, not EmbedCodec: "
            "give one that Embed has trained"
        )
    return predictor.codec


def _embeddings(predictor: Predictor, raw: list[Any]) -> Tensor:
    return predictor.outputs(x=torch.stack([_embedding_codec(predictor).encode(each)["x"] for each in raw])).cpu()

"""Detection as a set: queries ask a picture for things, each answers for one or for none (DETR, Carion et al. 2020).

What a query is, is an object: `LearnedQueries` are the paper's; `AnchoredQueries` are boxes that every layer corrects
(Liu et al. 2022, "DAB-DETR"), and learn in a fraction of the time; `DenoisingQueries` also get true boxes with noise to
mend while they learn, so that a query knows what it has to answer before the matching does (Li et al. 2022, "DN-DETR").
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from descend.functional.boxes import middles
from descend.models.vision.backbone import Backbone
from descend.nn import (
    Attention,
    FeedForward,
    LayerNorm,
    Order,
    PostNorm,
    ReLU,
    SinusoidalGrid,
    TransformerBlock,
    Xavier,
    initialise,
)


class Truth(NamedTuple):
    """What is there.

    Attributes:
        boxes: middle and size, as shares of the picture's width and height.
        target: their classes; -1 where a picture has fewer.
    """

    boxes: Float[Tensor, "batch most 4"]
    target: Int[Tensor, "batch most"]


class Asked(NamedTuple):
    """Queries at their beginning.

    Attributes:
        content: what each brings along.
        place: where it asks, for those that learned it.
        anchors: where it asks, as logits of a box; None for queries that ask anywhere.
        mask: who may be asked; None if all.
        noised: how many of the first ones are true boxes with noise.
    """

    content: Float[Tensor, "#batch queries width"]
    place: Float[Tensor, "#batch queries width"] | None = None
    anchors: Float[Tensor, "#batch queries 4"] | None = None
    mask: Bool[Tensor, "1 1 queries queries"] | None = None
    noised: int = 0


class Answers(NamedTuple):
    """What the queries answer behind each layer of the decoder, the last one last.

    Attributes:
        logits: of each class, and of none, the last.
        boxes: middle and size, as shares of the picture's width and height.
        mended: logits and boxes of the true boxes with noise, whose rows are those of the truth again and again.
    """

    logits: Float[Tensor, "layers batch queries answers"]
    boxes: Float[Tensor, "layers batch queries 4"]
    mended: tuple[Tensor, Tensor] | None = None


class Queries(nn.Module):
    """Base. ``queries(truth)`` gives the beginning; the truth is there in training only."""

    width: int

    def forward(self, truth: Truth | None = None) -> Asked:
        raise NotImplementedError

    def place(self, asked: Asked, anchors: Tensor | None, position: SinusoidalGrid) -> Tensor:
        """Where the queries ask, as attention reads it, given the boxes of the layer before, and how the picture's own
        places are told."""
        raise NotImplementedError


class LearnedQueries(Queries):
    """Places that are learned and mean nothing at first (section 3.2 of the paper).

    Args:
        number: of queries; more than there are things in a picture.
        width: of a token.
    """

    def __init__(self, number: int, width: int):
        super().__init__()
        self.number = number
        self.width = width
        self.table = nn.Parameter(torch.randn(number, width))

    def forward(self, truth: Truth | None = None) -> Asked:
        return Asked(torch.zeros_like(self.table)[None], self.table[None])

    def place(self, asked: Asked, anchors: Tensor | None, position: SinusoidalGrid) -> Tensor:
        assert asked.place is not None
        return asked.place


class AnchoredQueries(Queries):
    """Boxes, at first in rows and columns all over the picture; a query's place is its box, and it learns to mend it.

    Args:
        rows, columns: of the boxes.
        width: of a token, divisible by 8.
    """

    def __init__(self, rows: int, columns: int, width: int):
        super().__init__()
        self.rows = rows
        self.columns = columns
        self.width = width
        y, x = (torch.arange(n) / n + 0.5 / n for n in (rows, columns))
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1).flatten(0, 1)
        sizes = torch.tensor([2 / columns, 2 / rows]).clamp(max=0.9).expand_as(grid)
        self.anchors = nn.Parameter(torch.logit(torch.cat([grid, sizes], 1)))
        self.content = nn.Parameter(torch.randn(len(grid), width) * 0.02)
        self.map = nn.Linear(width, width)

    def forward(self, truth: Truth | None = None) -> Asked:
        return Asked(self.content[None], None, self.anchors[None])

    def place(self, asked: Asked, anchors: Tensor | None, position: SinusoidalGrid) -> Tensor:
        """The middle as the picture's places are told, so that a query is like the place that it asks; and a map of the
        size."""
        assert anchors is not None
        x, y, wide, high = anchors.sigmoid().unbind(-1)
        return position.points(x, y) + self.map(position.points(wide, high))


class DenoisingQueries(AnchoredQueries):
    """Anchored queries; and in training, true boxes with noise beside them, in groups. Groups do not see each other,
    and the queries that must find things by themselves do not see them.

    Args:
        rows, columns, width: as of `AnchoredQueries`.
        classes: kinds of things.
        groups: how often every true box is there.
        shift: a middle moves by up to this share of half the box, a size by up to this share of the size, 0 … 1.
        flip: share of classes that are told wrong.
    """

    def __init__(
        self, rows: int, columns: int, width: int, classes: int, groups: int = 4, shift: float = 0.4, flip: float = 0.2
    ):
        super().__init__(rows, columns, width)
        self.classes = classes
        self.groups = groups
        self.shift = shift
        self.flip = flip
        # One more for a place where a picture has no further box.
        self.kinds = nn.Embedding(classes + 1, width)
        nn.init.normal_(self.kinds.weight, std=0.02)

    def forward(self, truth: Truth | None = None) -> Asked:
        asked = super().forward()
        if truth is None or not self.training:
            return asked
        boxes, target = (one.repeat(1, self.groups, *[1] * (one.dim() - 2)) for one in truth)
        told = torch.where(torch.rand(target.shape, device=target.device) < self.flip, self._any(target), target)
        content = self.kinds(told.where(target >= 0, self.classes))
        moved = (torch.rand_like(boxes) * 2 - 1) * self.shift
        size = boxes[..., 2:]
        noised = torch.cat([boxes[..., :2] + moved[..., :2] * size / 2, size * (1 + moved[..., 2:])], -1)
        anchors = torch.logit(noised.clamp(0, 1), eps=1e-3)
        batch, many = target.shape
        assert asked.anchors is not None
        own = asked.content.expand(batch, -1, -1)
        return Asked(
            torch.cat([content, own], 1),
            None,
            torch.cat([anchors, asked.anchors.expand(batch, -1, -1)], 1),
            self._mask(many, own.shape[1], truth.target.shape[1], boxes.device),
            many,
        )

    def _any(self, target: Tensor) -> Tensor:
        return torch.randint_like(target, self.classes)

    @staticmethod
    def _mask(many: int, own: int, most: int, device: torch.device) -> Tensor:
        """Who sees whom: a group itself, and everyone the queries that are no true boxes."""
        group = torch.arange(many + own, device=device) // most
        group[many:] = -1
        return ((group[:, None] == group) | (group == -1))[None, None]


class DETR(nn.Module):
    """Backbone, encoder, decoder, and for each query a class and a box (figure 2 of the paper).

    >>> network = DETR(Backbone(resnet50(), (15,)), 91, LearnedQueries(100, 256), heads=8)

    Args:
        backbone: its last map is read.
        classes: kinds of things.
        queries: what asks.
        position: of the map's places; the paper's if None.
        heads: of each attention.
        encoder, decoder: blocks.
        hidden: width of the network for each token; four times the queries' if None.
        order: where the norms stand, and which.
        dropout: of what each branch adds.
        attention_dropout: of the weights of attention.
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        queries: Queries,
        position: SinusoidalGrid | None = None,
        heads: int = 8,
        encoder: int = 6,
        decoder: int = 6,
        hidden: int | None = None,
        order: Order = PostNorm(),
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
    ):
        super().__init__()
        if isinstance(queries, DenoisingQueries) and queries.classes != classes:
            raise ValueError(
                f"DETR: the queries are told of {queries.classes} classes, and {classes} are to be answered"
            )
        self.backbone = backbone
        self.classes = classes
        self.queries = queries
        self.heads = heads
        self.encoder = encoder
        self.decoder = decoder
        self.hidden = hidden
        self.order = order
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        width = queries.width
        wide = hidden or 4 * width

        def block(cross: bool) -> TransformerBlock:
            attentions = [Attention(width, heads, dropout=attention_dropout) for _ in range(1 + cross)]
            feed = FeedForward(width, wide, ReLU())
            return TransformerBlock(attentions[0], feed, attentions[1] if cross else None, order, dropout)

        self.project = nn.Conv2d(backbone.widths[-1], width, 1)
        self.position = position or SinusoidalGrid(width, span=2 * math.pi)
        self.reading = nn.ModuleList(block(False) for _ in range(encoder))
        self.read = order.last(width)
        self.answering = nn.ModuleList(block(True) for _ in range(decoder))
        self.norm = LayerNorm()(width)
        self.label = nn.Linear(width, classes + 1)
        self.box = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)
        )
        # Glorot and Bengio 2010, as the paper says for all but the backbone; a query with an anchor begins at it.
        for part in (self.project, self.reading, self.answering, self.label, self.box):
            initialise(part, Xavier())
        if isinstance(queries, AnchoredQueries):
            nn.init.normal_(self.box[-1].weight, std=1e-3)  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "batch channels height width"], truth: Truth | None = None) -> Answers:
        """Args: truth: for `DenoisingQueries`, while they learn."""
        y = self.project(self.backbone(x)[-1])
        where = self.position.grid(y).flatten(1).T[None]
        memory = y.flatten(2).mT.contiguous()
        for block in self.reading:
            memory = block(memory, place=where)
        memory = self.read(memory)
        asked = self.queries(truth)
        tokens, anchors = asked.content.expand(len(x), -1, -1), asked.anchors
        found = []
        for block in self.answering:
            place = self.queries.place(asked, anchors, self.position)
            tokens = block(tokens, memory, asked.mask, place=place, context_place=where)
            told = self.norm(tokens)
            moved = self.box(told) if anchors is None else self.box(told) + anchors
            wide = torch.promote_types(moved.dtype, torch.float32)
            found.append((self.label(told).to(wide), moved.to(wide).sigmoid()))
            # Each layer answers for its own correction (Zhu et al. 2021, "Deformable DETR", appendix A.4).
            anchors = None if anchors is None else moved.detach()
        logits, boxes = (torch.stack(each) for each in zip(*found, strict=True))
        if not asked.noised:
            return Answers(logits, boxes)
        (mended, logits), (near, boxes) = (one.tensor_split([asked.noised], 2) for one in (logits, boxes))
        return Answers(logits, boxes, (mended, near))


def truth_of(boxes: Float[Tensor, "batch most 4"], target: Int[Tensor, "batch most"], height: int, width: int) -> Truth:
    """From corners in pixels."""
    return Truth(middles(boxes) / boxes.new_tensor([width, height, width, height]), target)

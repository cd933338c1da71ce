"""One harness for every block and every model: what is not listed here fails the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from descend import models
from descend import nn as blocks
from descend.functional import keyed


@dataclass(frozen=True)
class Case:
    """One block under test.

    Attributes:
        make: builds it.
        inputs: makes a batch of inputs of a given size, drawn by a key.
        out: shape of the output behind the batch axis.
        coupled: in training, samples of a batch meet (batch norm).
        random: in training, it draws.
        rebuilt: its constructor's arguments can be read back.
        tied: tensors that are another one by a second name.
        traced: torch's compiler takes it, which it does not do with its own recurrent kernels.
    """

    make: Callable[[], nn.Module]
    inputs: Callable[[int, int], tuple[Tensor, ...]]
    out: tuple[int, ...]
    coupled: bool = False
    random: bool = False
    rebuilt: bool = True
    tied: int = 0
    traced: bool = True


def normal(*shape: int) -> Callable[[int, int], tuple[Tensor, ...]]:
    def draw(n: int, key: int) -> tuple[Tensor, ...]:
        return (torch.randn(n, *shape, generator=keyed.generator(key)),)

    return draw


def row(n: int, key: int) -> tuple[Tensor, ...]:
    generator = keyed.generator(key)
    return torch.randn(n, 5, generator=generator), torch.randint(0, 4, (n, 2), generator=generator)


def classed(*shape: int) -> Callable[[int, int], tuple[Tensor, ...]]:
    """Numbers, and one of four classes each."""

    def draw(n: int, key: int) -> tuple[Tensor, ...]:
        generator = keyed.generator(key)
        return torch.randn(n, *shape, generator=generator), torch.randint(0, 4, (n,), generator=generator)

    return draw


def _flat(name: str, **arguments: object) -> Case:
    return Case(lambda: getattr(blocks, name)(**arguments), normal(7), (7,))


def several(*shapes: tuple[int, ...]) -> Callable[[int, int], tuple[Tensor, ...]]:
    def draw(n: int, key: int) -> tuple[Tensor, ...]:
        generator = keyed.generator(key)
        return tuple(torch.randn(n, *shape, generator=generator) for shape in shapes)

    return draw


class Coarsest(nn.Module):
    """The first map of a pyramid, its maps given one by one."""

    def __init__(self, pyramid: nn.Module):
        super().__init__()
        self.pyramid = pyramid

    def forward(self, *maps: Tensor) -> Tensor:
        first, second = self.pyramid(maps)
        return first + nn.functional.interpolate(second, first.shape[2:])


class Finest(nn.Module):
    """The first map of a backbone."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x)[0]


class Told(nn.Module):
    """All that a detector says, place by place or query by query."""

    def __init__(self, detector: nn.Module):
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> Tensor:
        said = self.detector(x)
        if isinstance(said, models.Places):
            return torch.cat([said.logits, said.edges, said.middle[:, :, None]], 2).to(x.dtype)
        return torch.cat([said.logits, said.boxes], 3).movedim(0, 1).to(x.dtype)


def backbone(after: tuple[int, ...]) -> models.Backbone:
    return models.Backbone(models.ResNet(3, 5, (1, 1), (8, 16), blocks.GroupNorm(4)), after)


class Outputs(nn.Module):
    """What comes out, without the state that is carried on."""

    def __init__(self, recurrent: nn.Module):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> Tensor:
        return self.recurrent(x)[0]


def tokens(*lengths: int) -> Callable[[int, int], tuple[Tensor, ...]]:
    """Texts of a vocabulary of 11."""

    def draw(n: int, key: int) -> tuple[Tensor, ...]:
        generator = keyed.generator(key)
        return tuple(torch.randint(1, 10, (n, length), generator=generator) for length in lengths)

    return draw


def noisy(*shape: int, told: int) -> Callable[[int, int], tuple[Tensor, ...]]:
    """Pictures, how noisy they are, what they are to show, and words with some of them kept."""

    def draw(n: int, key: int) -> tuple[Tensor, ...]:
        generator = keyed.generator(key)
        x, vector, words = (torch.randn(n, *each, generator=generator) for each in (shape, (told,), (3, 6)))
        return x, torch.arange(n) % 8 / 8, vector, words, torch.tensor([[True, True, False]]).expand(n, 3)

    return draw


def story(n: int, key: int) -> tuple[Tensor, ...]:
    generator = keyed.generator(key)
    return tuple(torch.randint(1, 10, (n, *shape), generator=generator) for shape in ((4, 3), (3,)))


def woken(network: nn.Module) -> nn.Module:
    """With what begins at 0 drawn, so that all of it does something."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return network


class Vector(nn.Module):
    """A condition's vector, and the mean of its words."""

    def __init__(self, condition: models.Condition, name: str | None = None):
        super().__init__()
        self.condition = condition
        self.name = name or condition.names[0]

    def forward(self, x: Tensor) -> Tensor:
        given = {self.name: x}
        if "kept" in self.condition.names:
            given["kept"] = torch.ones(x.shape[:2], dtype=torch.bool)
        # A number of each sample's own says whether it is told.
        asked = self.condition(given, x.flatten(1)[:, 0] > (0 if x.is_floating_point() else 5) if x.ndim > 1 else x > 0)
        return asked.vector if asked.words is None else asked.vector + asked.words.mean(1)


class Kept(nn.Module):
    """A caption's encoder, with all but the last word kept."""

    def __init__(self, encoder: nn.Module, name: str = "words"):
        super().__init__()
        self.encoder = encoder
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        kept = (torch.arange(x.shape[1]) < x.shape[1] - 1).expand(x.shape[:2])
        return self.encoder(**{self.name: x, "kept": kept})


class Around(nn.Module):
    """A branch around a linear map."""

    def __init__(self, branch: nn.Module):
        super().__init__()
        self.branch, self.inner = branch, nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x, self.inner)


PICTURE, SMALL, WORDS = normal(3, 16, 16), normal(4, 6, 6), normal(5, 8)
sides, pyramid, context = several((4, 6, 6), (3, 12, 12)), several((4, 12, 12), (3, 6, 6)), several((5, 8), (4, 6))

CASES: dict[str, Case] = {
    **{name: _flat(name) for name in ("Sigmoid", "Tanh", "ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU")},
    "Mish": _flat("Mish"),
    "PReLU": _flat("PReLU"),
    "SquaredReLU": _flat("SquaredReLU"),
    "Softmax": _flat("Softmax", dim=-1),
    "Gated": Case(blocks.swiglu, normal(8), (4,)),
    "Gated channels": Case(lambda: blocks.glu(dim=1), SMALL, (2, 6, 6)),
    "Dropout": Case(lambda: blocks.Dropout(0.4), normal(7), (7,), random=True),
    "Dropout1d": Case(lambda: blocks.Dropout1d(0.4), normal(3, 5), (3, 5), random=True),
    "Dropout2d": Case(lambda: blocks.Dropout2d(0.4), SMALL, (4, 6, 6), random=True),
    "DropPath": Case(lambda: blocks.DropPath(0.4), normal(7), (7,), random=True),
    "BatchNorm": Case(lambda: blocks.BatchNorm()(4), SMALL, (4, 6, 6), coupled=True, rebuilt=False),
    "LayerNorm": Case(lambda: blocks.LayerNorm()(7), normal(7), (7,), rebuilt=False),
    "GroupNorm": Case(lambda: blocks.GroupNorm(2)(4), SMALL, (4, 6, 6), rebuilt=False),
    "InstanceNorm": Case(lambda: blocks.InstanceNorm()(4), SMALL, (4, 6, 6), rebuilt=False),
    "RMSNorm": Case(lambda: blocks.RMSNorm()(7), normal(7), (7,), rebuilt=False),
    "LinearBlock": Case(
        lambda: blocks.LinearBlock(7, 5, blocks.PReLU(), blocks.LayerNorm(), 0.2), normal(7), (5,), random=True
    ),
    "LinearBlock with a gate": Case(
        lambda: blocks.LinearBlock(7, 5, blocks.geglu(), blocks.RMSNorm()), normal(7), (5,)
    ),
    "ConvBlock": Case(lambda: blocks.ConvBlock(4, 8, stride=2, norm=blocks.GroupNorm(4)), SMALL, (8, 3, 3)),
    "ConvBlock with a gate": Case(
        lambda: blocks.ConvBlock(4, 8, 5, norm=blocks.InstanceNorm(), activation=blocks.swiglu(1)), SMALL, (8, 6, 6)
    ),
    "Residual": Case(lambda: blocks.residual_block(4, 8, 2, blocks.GroupNorm(4)), SMALL, (8, 3, 3), rebuilt=False),
    "ConvBlock depthwise and dilated": Case(
        lambda: blocks.ConvBlock(4, 4, norm=blocks.GroupNorm(2), groups=4, dilation=2), SMALL, (4, 6, 6)
    ),
    "ConvBlock of volumes": Case(
        lambda: blocks.ConvBlock(4, 8, norm=blocks.GroupNorm(2), axes=3), normal(4, 3, 4, 5), (8, 3, 4, 5)
    ),
    "Residual with a bottleneck": Case(
        lambda: blocks.bottleneck_block(4, 8, 2, blocks.GroupNorm(2)), SMALL, (8, 3, 3), rebuilt=False
    ),
    "PadFar": Case(lambda: blocks.PadFar(5, 2), SMALL, (4, 9, 9)),
    "SqueezeExcite": Case(lambda: blocks.SqueezeExcite(4, 2), SMALL, (4, 6, 6)),
    "InvertedResidual": Case(
        lambda: blocks.InvertedResidual(4, 4, 2, 5, norm=blocks.GroupNorm(2), squeeze=2, drop_path=0.4),
        SMALL,
        (4, 6, 6),
        random=True,
    ),
    "UpBlock": Case(lambda: blocks.UpBlock(4, 3, 5, blocks.GroupNorm(1)), sides, (5, 12, 12)),
    "FeaturePyramid": Case(lambda: Coarsest(blocks.FeaturePyramid((4, 3), 6)), pyramid, (6, 12, 12), rebuilt=False),
    "PatchEmbed": Case(lambda: blocks.PatchEmbed(4, 8, 3), SMALL, (8, 2, 2)),
    "ConvStem": Case(lambda: blocks.ConvStem(3, 8, (4, 6), blocks.GroupNorm(2)), PICTURE, (8, 4, 4)),
    "ConvStem, deep": Case(lambda: blocks.ConvStem(3, 8, (4, 6), blocks.GroupNorm(2), 2), PICTURE, (8, 4, 4)),
    "LearnedPositions": Case(lambda: blocks.LearnedPositions(9, 8), WORDS, (5, 8)),
    "SinusoidalPositions": Case(lambda: blocks.SinusoidalPositions(8), WORDS, (5, 8)),
    "LearnedGrid": Case(lambda: blocks.LearnedGrid(4, 6, 6), SMALL, (4, 6, 6)),
    "LearnedGrid interpolated": Case(lambda: blocks.LearnedGrid(4, 3, 4), SMALL, (4, 6, 6)),
    "SinusoidalGrid": Case(lambda: blocks.SinusoidalGrid(4), SMALL, (4, 6, 6)),
    "Rotary": Case(lambda: blocks.Attention(8, 2, kv_heads=1, position=blocks.Rotary(4), causal=True), WORDS, (5, 8)),
    "RelativeBias": Case(lambda: blocks.Attention(8, 2, position=blocks.RelativeBias(2, 8, 4)), WORDS, (5, 8)),
    "Attention": Case(lambda: blocks.Attention(8, 2), WORDS, (5, 8)),
    "Attention with dropout": Case(lambda: blocks.Attention(8, 2, dropout=0.4), WORDS, (5, 8), random=True),
    "Attention to a context": Case(lambda: blocks.Attention(8, 2, context_width=6), context, (5, 8)),
    "FeedForward": Case(lambda: blocks.FeedForward(8, 12, blocks.swiglu(), dropout=0.2), WORDS, (5, 8), random=True),
    "Branch": Case(
        lambda: Around(blocks.Branch(8, blocks.LayerNorm(), scale=0.5, dropout=0.2, drop_path=0.2)),
        WORDS,
        (5, 8),
        random=True,
        rebuilt=False,
    ),
    "TransformerBlock": Case(
        lambda: blocks.TransformerBlock(blocks.Attention(8, 2), blocks.FeedForward(8, 16), dropout=0.1, drop_path=0.2),
        WORDS,
        (5, 8),
        random=True,
    ),
    "TransformerBlock post-norm with a context": Case(
        lambda: blocks.TransformerBlock(
            blocks.Attention(8, 2, causal=True),
            blocks.FeedForward(8, 16),
            blocks.Attention(8, 2, context_width=6),
            blocks.PostNorm(),
        ),
        context,
        (5, 8),
    ),
    "MLP": Case(
        lambda: models.MLP(7, 16, 8, out=3, activation=blocks.PReLU(), dropout=0.2), normal(7), (3,), random=True
    ),
    "MLP with gates": Case(lambda: models.MLP(7, 16, 8, out=3, activation=blocks.swiglu()), normal(7), (3,)),
    "MLP with batch norm": Case(
        lambda: models.MLP(7, 16, out=3, norm=blocks.BatchNorm(axes=0)), normal(7), (3,), coupled=True
    ),
    "LeNet": Case(lambda: models.LeNet(3, 5, size=16, dropout=0.2), PICTURE, (5,), random=True),
    "Airbench": Case(lambda: models.Airbench(3, 5, (8, 12, 10)), PICTURE, (5,), coupled=True),
    "ResNet": Case(lambda: models.ResNet(3, 5, (1, 1), (8, 16)), PICTURE, (5,), coupled=True),
    "ResNet with group norm": Case(
        lambda: models.ResNet(3, 5, (1, 1), (8, 16), norm=blocks.GroupNorm(4)), PICTURE, (5,)
    ),
    "Mirrored": Case(lambda: models.Mirrored(models.ResNet(3, 5, (1,), (8,), norm=blocks.GroupNorm(4))), PICTURE, (5,)),
    "Soup": Case(lambda: models.Soup(models.MLP(7, 16, out=3, dropout=0.2), 2), normal(7), (3,), random=True),
    "ResNet with bottlenecks": Case(
        lambda: models.ResNet(3, 5, (1, 1), (8, 16), blocks.GroupNorm(4), models.PhotoStem(), narrow=4), PICTURE, (5,)
    ),
    "ResNet of volumes": Case(
        lambda: models.ResNet(3, 5, (1, 1), (4, 8), blocks.GroupNorm(2), axes=3), normal(3, 4, 8, 8), (5,)
    ),
    "VGG": Case(
        lambda: models.VGG(3, 5, (1, 2), (8, 12), hidden=16, norm=blocks.GroupNorm(4)), PICTURE, (5,), random=True
    ),
    "MobileNet": Case(
        lambda: models.MobileNet(
            3, 5, (models.Stage(8, 1, 1, 1), models.Stage(12, 2, 2)), 8, 16, blocks.GroupNorm(4), drop_path=0.2
        ),
        PICTURE,
        (5,),
        random=True,
    ),
    "ConvNeXt": Case(
        lambda: models.ConvNeXt(3, 5, (1, 1), (8, 12), patch=2, drop_path=0.2, scale=0.5), PICTURE, (5,), random=True
    ),
    "UNet": Case(
        lambda: models.UNet(3, 2, (4, 6, 8), blocks.GroupNorm(2), dropout=0.2), PICTURE, (2, 16, 16), random=True
    ),
    "UNet of volumes": Case(
        lambda: models.UNet(2, 3, (4, 6), blocks.GroupNorm(2), axes=3), normal(2, 4, 6, 8), (3, 4, 6, 8)
    ),
    "ViT": Case(
        lambda: models.ViT(
            blocks.PatchEmbed(3, 8, 4), 5, blocks.LearnedGrid(8, 4, 4), 2, 2, read=models.ClassToken(), registers=2
        ),
        PICTURE,
        (5,),
    ),
    "ViT with a convolutional stem": Case(
        lambda: models.ViT(
            blocks.ConvStem(3, 8, (4, 6), blocks.GroupNorm(2)), 5, blocks.SinusoidalGrid(8), 2, 2, drop_path=0.4
        ),
        PICTURE,
        (5,),
        random=True,
    ),
    "Backbone": Case(lambda: Finest(backbone((0,))), PICTURE, (8, 16, 16), rebuilt=False),
    "FCOS": Case(lambda: Told(models.FCOS(backbone((0, 1)), 2, 8, 1)), PICTURE, (320, 7), rebuilt=False),
    "DETR": Case(
        lambda: Told(models.DETR(backbone((1,)), 2, models.AnchoredQueries(2, 2, 8), None, 2, 1, 2, 12)),
        PICTURE,
        (2, 4, 7),
        random=True,
        rebuilt=False,
    ),
    "AnchoredQueries": Case(
        lambda: Told(models.DETR(backbone((1,)), 2, models.AnchoredQueries(2, 2, 8), None, 2, 1, 2, 12, dropout=0.0)),
        PICTURE,
        (2, 4, 7),
        rebuilt=False,
    ),
    "OverTime": Case(
        lambda: models.OverTime(models.ResNet(3, 5, (1,), (8,), blocks.GroupNorm(4))), normal(3, 4, 8, 8), (5,)
    ),
    "Frozen": Case(lambda: models.Frozen(models.MLP(7, 16, out=3, dropout=0.2)), normal(7), (3,)),
    "DnCNN": Case(lambda: models.DnCNN(3, 8, 4), PICTURE, (3, 16, 16), coupled=True),
    "DnCNN folded": Case(lambda: models.DnCNN(3, 8, 4, blocks.GroupNorm(2), 2), normal(3, 9, 12), (3, 9, 12)),
    "EDSR": Case(lambda: models.EDSR(3, 2, 8, 2), PICTURE, (3, 32, 32)),
    "EDSR folded": Case(lambda: models.EDSR(3, 1, 8, 2, 2), normal(3, 9, 12), (3, 9, 12)),
    "PatchCritic": Case(lambda: models.PatchCritic(3, (8, 12), blocks.GroupNorm(4)), PICTURE, (1, 4, 4)),
    "Maps": Case(
        lambda: models.Maps(models.Backbone(models.MobileNet(3, 5, (models.Stage(8),), 8, 16), (1,)), (0.5,), (0.25,)),
        PICTURE,
        (8, 8, 8),
    ),
    "Placed": Case(lambda: models.Placed(backbone((1,)), (3, 16, 16), 5), PICTURE, (5,), coupled=True, rebuilt=False),
    "Pooled": Case(
        lambda: models.Pooled(models.Maps(backbone((1,))), 16, 5), PICTURE, (5,), coupled=True, rebuilt=False
    ),
    "Recurrent": Case(
        lambda: Outputs(blocks.Recurrent(blocks.LSTM(), 8, 6, 2, both=True)),
        WORDS,
        (5, 12),
        rebuilt=False,
        traced=False,
    ),
    "Recurrent with dropout": Case(
        lambda: Outputs(blocks.Recurrent(blocks.GRU(), 8, 6, 2, dropout=0.4)),
        WORDS,
        (5, 6),
        random=True,
        rebuilt=False,
        traced=False,
    ),
    "RecurrentReader": Case(lambda: models.RecurrentReader(blocks.Elman(), 8, 6, 2), WORDS, (2,), traced=False),
    "RecurrentEncoder": Case(lambda: models.RecurrentEncoder(blocks.LSTM(), 11, 8, 6), tokens(5), (5, 6), traced=False),
    "RecurrentLanguage": Case(
        lambda: Outputs(models.RecurrentLanguage(blocks.LSTM(), 11, 8, 1, models.Tied(bias=True))),
        tokens(5),
        (5, 11),
        rebuilt=False,
        tied=1,
        traced=False,
    ),
    "RecurrentTranslator": Case(
        lambda: models.RecurrentTranslator(blocks.GRU(), 11, 8, models.DotScore(8), dropout=0.0),
        tokens(5, 4),
        (4, 11),
        tied=1,
        traced=False,
    ),
    "DotScore": Case(lambda: models.DotScore(8), several((4, 8), (5, 8)), (4, 5)),
    "AdditiveScore": Case(lambda: models.AdditiveScore(8), several((4, 8), (5, 8)), (4, 5)),
    "Logits": Case(lambda: models.Logits(nn.Parameter(torch.randn(11, 8)), True, 5.0), WORDS, (5, 11), rebuilt=False),
    "GPT": Case(
        lambda: models.GPT(11, 8, 2, 1, blocks.LearnedPositions(9, 8), dropout=0.2),
        tokens(5),
        (5, 11),
        random=True,
        tied=1,
    ),
    "GPT as Llama": Case(
        lambda: models.GPT(
            11,
            8,
            2,
            1,
            blocks.Rotary(4),
            1,
            activation=blocks.swiglu(),
            order=blocks.PreNorm(blocks.RMSNorm()),
            head=models.Untied(cap=5.0),
            bias=False,
        ),
        tokens(5),
        (5, 11),
    ),
    "BERT": Case(lambda: models.BERT(11, 8, 2, 1, 5, segments=1), tokens(5), (5, 8), random=True),
    "MaskedBERT": Case(
        lambda: models.MaskedBERT(models.BERT(11, 8, 2, 1, 5, segments=1)), tokens(5), (5, 11), random=True, tied=1
    ),
    "TextClassifier": Case(
        lambda: models.TextClassifier(models.BERT(11, 8, 2, 1, 5, segments=1), 8, 3), tokens(5), (3,), random=True
    ),
    "Tagger": Case(
        lambda: models.Tagger(models.RecurrentEncoder(blocks.GRU(), 11, 8, 6), 6, 3, 0.2),
        tokens(5),
        (5, 3),
        random=True,
        traced=False,
    ),
    "Transformer": Case(
        lambda: models.Transformer(11, 8, 2, 1, blocks.SinusoidalPositions(8)),
        tokens(5, 4),
        (4, 11),
        random=True,
        tied=1,
    ),
    "Copying": Case(
        lambda: models.Copying(models.Transformer(11, 8, 2, 1, blocks.SinusoidalPositions(8)), models.DotScore(8)),
        tokens(5, 4),
        (4, 11),
        random=True,
        tied=1,
    ),
    "TimeEmbedding": Case(lambda: models.TimeEmbedding(8), lambda n, key: (torch.arange(n) % 8 / 8,), (8,)),
    "TimedBlock": Case(lambda: models.TimedBlock(4, 8, 5), several((4, 6, 6), (5,)), (8, 6, 6)),
    "PlacesBlock": Case(lambda: models.PlacesBlock(8, 2, 6), several((8, 3, 3), (5, 6)), (8, 3, 3)),
    "DenoisingUNet": Case(
        lambda: woken(models.DenoisingUNet(2, (8, 16), heads=2, context_width=6)), noisy(2, 8, 8, told=32), (2, 8, 8)
    ),
    "DenoisingUNet folded, without words": Case(
        lambda: woken(models.DenoisingUNet(1, (8, 16), 1, 0, fold=2)),
        lambda n, key: noisy(1, 8, 8, told=32)(n, key)[:3],
        (1, 8, 8),
    ),
    "DiTBlock": Case(lambda: woken(models.DiTBlock(8, 2, 16, 6)), several((4, 8), (8,), (3, 6)), (4, 8)),
    "DiT": Case(lambda: woken(models.DiT(2, 8, 2, 2, 2, 6)), noisy(2, 4, 6, told=8), (2, 4, 6)),
    "ClassCondition": Case(
        lambda: Vector(models.ClassCondition(3, 8)), lambda n, key: (torch.arange(n) % 3,), (8,), rebuilt=False
    ),
    "CaptionCondition": Case(lambda: Vector(models.CaptionCondition(6, 8)), several((4, 6)), (8,), rebuilt=False),
    "CaptionCondition with an encoder": Case(
        lambda: Vector(models.CaptionCondition(8, 6, models.BERT(11, 8, 2, 1, 6)), "tokens"),
        tokens(4),
        (6,),
        rebuilt=False,
    ),
    "CaptionEncoder": Case(
        lambda: Kept(models.CaptionEncoder(6, 5, 8, dropout=0.2)), several((4, 6)), (5,), random=True, rebuilt=False
    ),
    "CaptionEncoder with an encoder": Case(
        lambda: Kept(models.CaptionEncoder(8, 5, 8, models.BERT(11, 8, 2, 1, 6)), "tokens"),
        tokens(4),
        (5,),
        rebuilt=False,
    ),
    "MemoryNetwork": Case(lambda: models.MemoryNetwork(11, 3, 4, 8, 2), story, (3,), random=True),
    "ConvEncoder": Case(lambda: models.ConvEncoder((3, 16, 16), 5, (4, 6)), PICTURE, (5,)),
    "ConvDecoder": Case(lambda: models.ConvDecoder(7, (3, 16, 12), (4, 6)), normal(7), (3, 16, 12)),
    "MapEncoder": Case(lambda: models.MapEncoder((3, 16, 16), 5, (4, 6, 8)), PICTURE, (5, 2, 2)),
    "MapDecoder": Case(lambda: models.MapDecoder(4, (3, 24, 24), (6, 8)), SMALL, (3, 24, 24)),
    "MLPDecoder": Case(
        lambda: models.MLPDecoder(7, 16, shape=(1, 4, 6), activation=blocks.PReLU()), normal(7), (1, 4, 6)
    ),
    "Codebook": Case(lambda: models.Codebook(5, 4), SMALL, (4, 6, 6)),
    "ClassNorm": Case(lambda: models.ClassNorm(4, 4), classed(4, 6, 6), (4, 6, 6), coupled=True),
    "ConvGenerator": Case(lambda: models.ConvGenerator((3, 8, 12), 5, 4, (6, 4)), classed(5), (3, 8, 12), coupled=True),
    "ConvGenerator without classes": Case(
        lambda: models.ConvGenerator((1, 8, 8), 5, widths=(6, 4)), normal(5), (1, 8, 8), coupled=True
    ),
    # Without spectral norm, whose power method goes on at each call in training: it has tests of its own.
    "ConvCritic": Case(lambda: models.ConvCritic((3, 8, 12), 4, (4, 6), 8), classed(3, 8, 12), ()),
    "ConvCritic without classes": Case(lambda: models.ConvCritic((1, 8, 8), None, (4, 6), 8), normal(1, 8, 8), ()),
    "TableNet": Case(lambda: models.TableNet(5, (4, 4), 3, hidden=(16, 8), members=4), row, (3,), random=True),
}

DESCRIPTIONS = {
    *("He", "LeCun", "Orthogonal", "TruncatedNormal", "Xavier", "Norm", "Scheme"),
    *("Order", "PreNorm", "PostNorm", "Relation", "Stage", "Stem", "SmallStem", "PhotoStem"),
    *("Read", "ClassToken", "MeanToken", "Spectral"),
    *("Cache", "Cell", "Elman", "LSTM", "GRU", "Head", "Tied", "Untied", "Memory", "Score"),
    *("Summary", "FirstToken", "MeanOfTokens", "MostOfTokens"),
    "Decoder",
    *("Queries", "LearnedQueries", "DenoisingQueries", "Answers", "Places", "Truth"),
    "Asked",
    "Condition",
}
"""Classes that are no modules of their own: schemes of initialisation, descriptions of parts, and the bases; they have
tests of their own, or are tried in what they are part of. Learned queries begin alike, so that no gradient reaches who
asks whom among them at first: theirs is the oracle of DETR."""

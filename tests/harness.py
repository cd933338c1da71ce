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
    """

    make: Callable[[], nn.Module]
    inputs: Callable[[int, int], tuple[Tensor, ...]]
    out: tuple[int, ...]
    coupled: bool = False
    random: bool = False
    rebuilt: bool = True


def normal(*shape: int) -> Callable[[int, int], tuple[Tensor, ...]]:
    def draw(n: int, key: int) -> tuple[Tensor, ...]:
        return (torch.randn(n, *shape, generator=keyed.generator(key)),)

    return draw


def row(n: int, key: int) -> tuple[Tensor, ...]:
    generator = keyed.generator(key)
    return torch.randn(n, 5, generator=generator), torch.randint(0, 4, (n, 2), generator=generator)


def _flat(name: str, **arguments: object) -> Case:
    return Case(lambda: getattr(blocks, name)(**arguments), normal(7), (7,))


PICTURE, SMALL = normal(3, 16, 16), normal(4, 6, 6)

CASES: dict[str, Case] = {
    **{name: _flat(name) for name in ("Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Mish")},
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
    "TableNet": Case(lambda: models.TableNet(5, (4, 4), 3, hidden=(16, 8), members=4), row, (3,), random=True),
}

DESCRIPTIONS = {"He", "LeCun", "Orthogonal", "TruncatedNormal", "Xavier", "Norm", "Scheme"}
"""Classes that are no modules: schemes of initialisation, and the bases; they have tests of their own."""

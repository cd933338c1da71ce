"""One architecture family a file."""

from descend.models.mlp import MLP
from descend.models.table import TableNet
from descend.models.vision import Airbench, LeNet, Mirrored, ResNet, resnet18, resnet20, resnet32, resnet44, resnet56

__all__ = [
    "MLP",
    "Airbench",
    "LeNet",
    "Mirrored",
    "ResNet",
    "TableNet",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
]

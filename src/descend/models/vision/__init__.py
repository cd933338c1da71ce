"""Networks that see."""

from descend.models.vision.airbench import Airbench
from descend.models.vision.lenet import LeNet
from descend.models.vision.mirrored import Mirrored
from descend.models.vision.resnet import ResNet, resnet18, resnet20, resnet32, resnet44, resnet56

__all__ = ["Airbench", "LeNet", "Mirrored", "ResNet", "resnet18", "resnet20", "resnet32", "resnet44", "resnet56"]

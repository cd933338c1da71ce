"""Networks that see."""

from descend.models.vision.lenet import LeNet
from descend.models.vision.resnet import ResNet, resnet18, resnet20, resnet32, resnet44, resnet56

__all__ = ["LeNet", "ResNet", "resnet18", "resnet20", "resnet32", "resnet44", "resnet56"]

"""Networks that see."""

from descend.models.vision.airbench import Airbench
from descend.models.vision.backbone import Backbone
from descend.models.vision.clip import OverTime
from descend.models.vision.convnext import ConvNeXt, convnext_small, convnext_tiny
from descend.models.vision.detr import (
    DETR,
    AnchoredQueries,
    Answers,
    DenoisingQueries,
    LearnedQueries,
    Queries,
    Truth,
)
from descend.models.vision.fcos import FCOS, Places
from descend.models.vision.lenet import LeNet
from descend.models.vision.mirrored import Mirrored
from descend.models.vision.mobilenet import MobileNet, Stage, efficientnet_lite0, efficientnet_lite2, mobilenet_v2
from descend.models.vision.placed import Placed
from descend.models.vision.pooled import Pooled
from descend.models.vision.resnet import (
    PhotoStem,
    ResNet,
    SmallStem,
    Stem,
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet56,
    resnet101,
    resnet152,
)
from descend.models.vision.restore import EDSR, DnCNN, PatchCritic
from descend.models.vision.unet import UNet
from descend.models.vision.vgg import VGG, vgg11, vgg13, vgg16, vgg19
from descend.models.vision.vit import ClassToken, MeanToken, Read, ViT, vit_base, vit_small, vit_tiny

__all__ = [
    "DETR",
    "EDSR",
    "FCOS",
    "VGG",
    "Airbench",
    "AnchoredQueries",
    "Answers",
    "Backbone",
    "ClassToken",
    "ConvNeXt",
    "DenoisingQueries",
    "DnCNN",
    "LeNet",
    "LearnedQueries",
    "MeanToken",
    "Mirrored",
    "MobileNet",
    "OverTime",
    "PatchCritic",
    "PhotoStem",
    "Placed",
    "Places",
    "Pooled",
    "Queries",
    "Read",
    "ResNet",
    "SmallStem",
    "Stage",
    "Stem",
    "Truth",
    "UNet",
    "ViT",
    "convnext_small",
    "convnext_tiny",
    "efficientnet_lite0",
    "efficientnet_lite2",
    "mobilenet_v2",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet152",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vit_base",
    "vit_small",
    "vit_tiny",
]

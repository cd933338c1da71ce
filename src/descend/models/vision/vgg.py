"""VGG (Simonyan and Zisserman 2015): 3×3 convolutions in stages, each halving the picture by its maximum."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import BatchNorm, ConvBlock, He, Norm, ReLU, initialise, initialise_head


class VGG(nn.Module):
    """Stages of convolutions, the mean over places, two hidden layers.

    The paper's networks flatten 7×7 places; the mean takes pictures of any size from 2^stages pixels on.

    Args:
        channels: of the picture.
        classes: numbers that come out.
        depths: convolutions of each stage.
        widths: channels of each stage.
        hidden: width of the hidden layers; none if 0.
        norm: behind every convolution (the paper's networks had none, and trained from shallower ones).
        dropout: before each hidden layer and the head.

    Raises:
        ValueError: a picture vanishes on its way.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        depths: tuple[int, ...] = (2, 2, 3, 3, 3),
        widths: tuple[int, ...] = (64, 128, 256, 512, 512),
        hidden: int = 4096,
        norm: Norm = BatchNorm(),
        dropout: float = 0.5,
    ):
        super().__init__()
        if len(depths) != len(widths):
            raise ValueError(f"VGG: depths {depths} and widths {widths} give one number a stage each")
        self.channels = channels
        self.classes = classes
        self.depths = depths
        self.widths = widths
        self.hidden = hidden
        self.norm = norm
        self.dropout = dropout
        stages: list[nn.Module] = []
        before = channels
        for depth, width in zip(depths, widths, strict=True):
            for _ in range(depth):
                stages.append(ConvBlock(before, width, 3, 1, norm, ReLU()))
                before = width
            stages.append(nn.MaxPool2d(2))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        layers: list[nn.Module] = []
        for _ in range(2 if hidden else 0):
            layers += [nn.Dropout(dropout), nn.Linear(before, hidden), ReLU()]
            before = hidden
        self.hidden_layers = nn.Sequential(*layers, nn.Dropout(dropout))
        self.head = nn.Linear(before, classes)
        # He et al. 2015 for the ReLUs; the paper's fixed deviation of 0.01 is what kept it from training deep ones.
        initialise(self, He(fan="fan_out"))
        initialise_head(self.head)

    def features(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        """What the head reads."""
        least = 2 ** len(self.depths)
        if min(x.shape[2:]) < least:
            raise ValueError(
                f"VGG: a picture of {x.shape[2]}×{x.shape[3]} is halved {len(self.depths)} times: give {least}×{least} "
                "or more, or fewer stages"
            )
        return self.hidden_layers(self.pool(self.stages(x)).flatten(1))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.features(x))


def vgg11(channels: int = 3, classes: int = 1000) -> VGG:
    """Configuration A of the paper's table 1."""
    return VGG(channels, classes, (1, 1, 2, 2, 2))


def vgg13(channels: int = 3, classes: int = 1000) -> VGG:
    """Configuration B."""
    return VGG(channels, classes, (2, 2, 2, 2, 2))


def vgg16(channels: int = 3, classes: int = 1000) -> VGG:
    """Configuration D."""
    return VGG(channels, classes, (2, 2, 3, 3, 3))


def vgg19(channels: int = 3, classes: int = 1000) -> VGG:
    """Configuration E."""
    return VGG(channels, classes, (2, 2, 4, 4, 4))

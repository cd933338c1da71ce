"""LeNet-5 (LeCun et al. 1998, figure 2), with ReLU and max pooling in place of scaled tanh and averages."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.nn import He, ReLU, initialise, initialise_head


class LeNet(nn.Module):
    """Two convolutions, two hidden layers.

    Args:
        channels: of the picture.
        classes: numbers that come out.
        size: height and width of the picture, 28 or 32 (any from 16 on).
        widths: channels of the two convolutions, then the hidden layers; the paper's if None are given.
        dropout: before each hidden layer, 0 ≤ p < 1.
    """

    def __init__(
        self,
        channels: int = 1,
        classes: int = 10,
        size: int = 28,
        widths: tuple[int, int, int, int] = (6, 16, 120, 84),
        dropout: float = 0.0,
    ):
        super().__init__()
        if size < 16:
            raise ValueError(
                f"LeNet: pictures of {size}×{size} are too small for two 5×5 convolutions; give 16 or more"
            )
        self.channels = channels
        self.classes = classes
        self.size = size
        self.widths = widths
        self.dropout = dropout
        first, second, third, fourth = widths
        # A picture of 28 is padded to 32, as the paper pads its digits. The maximum is taken before the ReLU: the same
        # numbers and gradients from a quarter of the ReLUs, and compiled right (torch 2.13's compiler silently gives
        # wrong gradients on CPU for the other order).
        self.body = nn.Sequential(
            nn.Conv2d(channels, first, 5, padding=2 if size < 32 else 0),
            nn.MaxPool2d(2),
            ReLU(),
            nn.Conv2d(first, second, 5),
            nn.MaxPool2d(2),
            ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            flat = self.body(torch.zeros(1, channels, size, size)).shape[1]
        self.hidden = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(flat, third), ReLU(), nn.Dropout(dropout), nn.Linear(third, fourth), ReLU()
        )
        self.head = nn.Linear(fourth, classes)
        # He's scheme, since every hidden layer ends in a ReLU.
        initialise(self, He())
        initialise_head(self.head)

    def forward(self, x: Float[Tensor, "batch channels size size"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.hidden(self.body(x)))

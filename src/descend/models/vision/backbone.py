"""A network on pictures as the beginning of another: its maps at several sizes, in place of its classes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

PROBE = 64
"""Side of the picture that widths and strides are measured with, in pixels."""


class Backbone(nn.Module):
    """The maps behind some of a network's blocks, from fine to coarse. What comes behind the last is not kept.

    >>> backbone = Backbone(new_head(efficientnet_lite0(), 1), (5, 11, 16))       # strides 8, 16, 32

    Args:
        network: a `ResNet`, or a `MobileNet`.
        after: numbers of the blocks, the first being 0: of a ResNet's ``stages``, of a MobileNet's ``body``, whose
            number 0 is the stem.

    Attributes:
        widths: channels of each map.
        strides: pixels between two places of each map.

    Raises:
        ValueError: the network has no such blocks.
    """

    def __init__(self, network: nn.Module, after: tuple[int, ...]):
        super().__init__()
        blocks = getattr(network, "body", getattr(network, "stages", None))
        if not isinstance(blocks, nn.Sequential) or not after or not 0 <= min(after) <= max(after) < len(blocks):
            have = f"0 … {len(blocks) - 1}" if isinstance(blocks, nn.Sequential) else "none"
            raise ValueError(f"Backbone: {type(network).__name__} has no blocks {after}; it has {have}")
        # The network itself stays beside the modules: it is asked what it is when this is saved.
        vars(self)["network"] = network
        self.after = after
        stem = None if hasattr(network, "body") else getattr(network, "stem", None)
        self.stem: nn.Module = nn.Identity() if stem is None else stem
        self.blocks = nn.ModuleList(list(blocks)[: max(after) + 1])
        with torch.no_grad():
            channels = int(getattr(network, "channels", 3))
            training = self.training
            maps = self.eval()(torch.zeros(1, channels, PROBE, PROBE, device=next(self.parameters()).device))
            self.train(training)
        self.widths = tuple(one.shape[1] for one in maps)
        self.strides = tuple(PROBE // one.shape[2] for one in maps)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> list[Float[Tensor, "batch _ rows columns"]]:
        x, found = self.stem(x), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.after:
                found.append(x)
        return found

"""Starting from what was learned elsewhere: a head for other classes, and parts that stay as they are."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.models.vision.backbone import Backbone
from descend.nn import initialise_head

Network = TypeVar("Network", bound=nn.Module)


def new_head(network: Network, classes: int) -> Network:
    """The same network, to be taught other classes: its last layer made anew, all else kept.

    >>> network = new_head(load("runs/photos-1").task.model.network, classes=40)

    Raises:
        ValueError: the network has no linear ``head``.
    """
    head = getattr(network, "head", None)
    if not isinstance(head, nn.Linear):
        raise ValueError(
            f"{type(network).__name__} has no linear layer called head: give the network itself, "
            "or set its last layer yourself"
        )
    fresh = nn.Linear(head.in_features, classes, device=head.weight.device, dtype=head.weight.dtype)
    initialise_head(fresh)
    network.head = fresh
    if hasattr(network, "classes"):  # so that it is rebuilt as it is now
        network.classes = classes  # type: ignore[assignment]
    return network


class Frozen(nn.Module):
    """A network that does not learn: no gradient moves its weights, its dropout is off and its statistics stand.

    >>> model = nn.Sequential(Frozen(backbone), nn.Linear(1280, 40))

    Args:
        network: from any inputs to any outputs. Gradients pass through to what comes before it.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, *args: Any, **named: Any) -> Any:
        return self.network(*args, **named)


class Maps(nn.Module):
    """What a trained network sees in a picture on its way to an answer: a backbone's last map, for losses that compare
    what pictures show and not their pixels (Johnson et al. 2016). It does not learn.

    >>> Maps(Backbone(efficientnet_lite0(), (4,)), LITE0_CODEC.mean, LITE0_CODEC.std)

    Args:
        backbone: that has learned.
        mean, std: one number a channel, by which the pictures it learned from were standardised.
    """

    shift: Tensor
    spread: Tensor

    def __init__(self, backbone: Backbone, mean: tuple[float, ...] = (0.0,), std: tuple[float, ...] = (1.0,)):
        super().__init__()
        self.mean = mean
        self.std = std
        vars(self)["backbone"] = backbone
        self.frozen = Frozen(backbone)
        self.register_buffer("shift", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch maps rows columns"]:
        return self.frozen((x - self.shift) / self.spread)[-1]

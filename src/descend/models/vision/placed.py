"""An embedding that knows where things are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.models.vision.backbone import Backbone


class Placed(nn.Module):
    """Every number of a backbone's last map for itself, standardised over the samples, and one linear map of all (as in
    Deng et al. 2019, section 3.1, without its dropout and its last norm). The mean over places, which classifiers read,
    is the same for a face whose eyes and mouth have changed places.

    >>> Placed(Backbone(efficientnet_lite0(), (9,)), data.shape, 128)

    Args:
        backbone: its last map is read.
        shape: of a picture: channels, height, width.
        width: numbers that come out.
    """

    def __init__(self, backbone: Backbone, shape: tuple[int, ...], width: int):
        super().__init__()
        self.backbone = backbone
        self.shape = shape
        self.width = width
        training = backbone.training
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(1, *shape))[-1].numel()
        backbone.train(training)
        # Without scale and shift, so that all places count alike at first.
        self.norm = nn.BatchNorm1d(features, affine=False)
        self.head = nn.Linear(features, width, bias=False)
        # Orthogonal (Saxe et al. 2014): angles between what the maps say are nearly those between embeddings.
        nn.init.orthogonal_(self.head.weight)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch numbers"]:
        return self.head(self.norm(self.backbone(x)[-1].flatten(1)))

"""An embedding that knows where things are."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.models.vision.backbone import Backbone

TOGETHER = 50
"""Pictures that are looked at at once before the first step."""


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

    @torch.no_grad()
    def begin(
        self,
        views: Float[Tensor, "n views channels height width"],
        target: Int[Tensor, "n"],
        shrink: float = 0.5,
    ) -> None:
        """Begin where the pictures of a class already lie close to each other: the head keeps the directions in which
        all of them differ most, and divides by how far those of one class spread (Hatch, Kajarekar and Stolcke 2006,
        "Within-class covariance normalization": with W their mean covariance within a class, an A for which AAᵀ = W⁻¹).

        Args:
            views: pictures to learn from, several of each class, each in the views whose mean is to stand for it (as
                `Mirrored` asks); moved ones among the pictures tell what to overlook.
            target: their classes.
            shrink: how much of the mean spread is added to that in every direction, which few pictures know badly.

        Raises:
            ValueError: there are fewer pictures than numbers come out, or one of each class.
        """
        if len(views) < self.width:
            raise ValueError(
                f"{len(views)} pictures cannot tell {self.width} directions apart: give more, or a width below"
            )
        classes, member = target.unique(return_inverse=True)
        if len(classes) == len(views):
            raise ValueError("one picture of each class tells nothing of how those of a class differ: give several")
        training = self.training
        self.eval()
        maps = torch.cat([self.backbone(part)[-1].flatten(1) for part in views.flatten(0, 1).split(TOGETHER)])
        features = maps.unflatten(0, views.shape[:2]).mean(1)
        self.norm.running_mean, self.norm.running_var = features.mean(0), features.var(0)
        features = self.norm(features)
        directions = torch.pca_lowrank(features, self.width, center=False, niter=4)[2]
        directions = directions * directions.sum(0).sign()  # of a direction and its opposite, the same one everywhere
        places = features @ directions
        centres = torch.stack([places[member == number].mean(0) for number in range(len(classes))])
        spread = (places - centres[member]).T.cov(correction=0)
        spread = spread + shrink * spread.diagonal().mean() * torch.eye(self.width, device=spread.device)
        self.head.weight.copy_((directions @ torch.linalg.cholesky(spread.inverse())).T)
        self.train(training)

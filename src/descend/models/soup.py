"""Copies of one pretrained network, taught apart and averaged into one (Wortsman et al. 2022, "Model soups").

Networks that begin at the same pretrained weights end in the same basin, each at another place of its rim, so that

    θ = (θ₁ + … + θₖ) / k

lies nearer to its middle: one network, which answers better than any of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Soup(nn.Module):
    """In training each member answers for its own share of the batch; in evaluation one network of their mean weights.

    An epoch takes the time of one network's, and each member has then seen one k-th of the samples: as many epochs more
    are due. Running statistics are averaged like weights, so networks without batch norms fare better.

    >>> soup = Soup(TextClassifier(pretrained, 384, 2, MeanOfTokens()), 3)

    Args:
        network: the pretrained one, which becomes the first member.
        members: k, at least 2.

    Raises:
        ValueError: fewer than two members.
    """

    def __init__(self, network: nn.Module, members: int = 2):
        super().__init__()
        if members < 2:
            raise ValueError(f"Soup: members must be at least 2, got {members}")
        self.network = network
        self.members = members
        self.others = nn.ModuleList(copy.deepcopy(network) for _ in range(members - 1))

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        """Outputs [batch, …] of the network for its inputs, each [batch, …]."""
        if not self.training:
            return functional_call(self.network, self.mean(), inputs, named)
        # Every k-th sample each: a batch may be sorted, by length for one.
        values = (*inputs, *named.values())
        places = torch.arange(len(values[0]), device=values[0].device)
        outputs, own = [], []
        for first, member in enumerate(self._all()):
            share = [value[first :: self.members] for value in values]
            if len(share[0]):
                outputs.append(member(*share[: len(inputs)], **dict(zip(named, share[len(inputs) :], strict=True))))
                own.append(places[first :: self.members])
        return torch.cat(outputs)[torch.cat(own).argsort()]

    def mean(self) -> dict[str, Tensor]:
        """θ, by the network's names; the first member's where it does not learn."""
        states = [dict([*member.named_parameters(), *member.named_buffers()]) for member in self._all()]

        def learns(value: Tensor) -> bool:
            return value.requires_grad if isinstance(value, nn.Parameter) else value.is_floating_point()

        return {
            name: torch.stack([state[name] for state in states]).mean(0) if learns(value) else value
            for name, value in states[0].items()
        }

    def _all(self) -> Iterator[nn.Module]:
        yield self.network
        yield from self.others

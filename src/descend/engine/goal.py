"""Which metric is watched, and which way is better."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    metric: str

    def better(self, new: float, old: float) -> bool:
        raise NotImplementedError

    @property
    def worst(self) -> float:
        raise NotImplementedError

    def cost(self, value: float) -> float:
        """The value turned so that lower is better, as schedules that watch a score take it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Max(Goal):
    """The higher the better: ``Max("accuracy")``."""

    def better(self, new: float, old: float) -> bool:
        return new > old

    @property
    def worst(self) -> float:
        return -math.inf

    def cost(self, value: float) -> float:
        return -value


@dataclass(frozen=True)
class Min(Goal):
    """The lower the better: ``Min("loss")``."""

    def better(self, new: float, old: float) -> bool:
        return new < old

    @property
    def worst(self) -> float:
        return math.inf

    def cost(self, value: float) -> float:
        return value

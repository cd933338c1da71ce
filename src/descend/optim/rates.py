"""Rates by depth, for networks that have learned something already: what is near the input is general and should move
little, and late.

Layers, in the order in which the network holds them, are put into stages of equally many; at depth d, from 0 (first) to
1 (last),

    rate = lr · lowest^(1-d)             (discriminative fine-tuning)
    moves from progress unfreeze·(1-d)   (gradual unfreezing)

(Howard and Ruder 2018, "ULMFiT", section 3.2 and 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descend.optim.optimizer import Named


@dataclass(frozen=True)
class Rates:
    """Args: lowest: the first stage's share of the rate, in (0, 1]; unfreeze: share of the run after which the first
    stage begins to move, in [0, 1); stages: 2 or more, each of which costs a step another kernel; a network of fewer
    layers has one for each."""

    lowest: float = 0.1
    unfreeze: float = 0.0
    stages: int = 6

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= 1 or not 0 <= self.unfreeze < 1 or self.stages < 2:
            raise ValueError(
                f"{self}: give lowest in (0, 1], unfreeze in [0, 1) and 2 stages or more; without stages no rates are "
                "needed"
            )

    def groups(self, groups: list[dict[str, Any]], parameters: list[Named], lr: float) -> list[dict[str, Any]]:
        """Each group cut by stages, with a rate, and ``begin``, the progress from which it moves."""
        modules = {id(module): place for place, module in enumerate(dict.fromkeys(one.module for one in parameters))}
        stages = min(self.stages, len(modules))
        stage_of = {id(one.parameter): stages * modules[id(one.module)] // len(modules) for one in parameters}
        found = []
        for group in groups:
            for stage in range(stages):
                held = [p for p in group["params"] if stage_of[id(p)] == stage]
                above = 1 - stage / (stages - 1) if stages > 1 else 0.0
                changed = {
                    "params": held,
                    "lr": group.get("lr", lr) * self.lowest**above,
                    "begin": self.unfreeze * above,
                }
                found += [{**group, **changed}] if held else []
        return found

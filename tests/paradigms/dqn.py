"""Q-learning from remembered steps, with a second network that holds the targets still (Mnih et al. 2015)."""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descend.data import Batch, Replay
from descend.engine import Descent, Experiment, Metrics, Task, recipe
from descend.functional import Mean, keyed
from descend.models import MLP
from descend.optim import Adam, Optimizer

SIDE, WALLS, GOAL = 5, frozenset({6, 8, 11, 13, 17}), 24
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))


def move(cell: int, action: int) -> int:
    """Where an action leads; against a wall or the border, nowhere."""
    row, column = cell // SIDE + MOVES[action][0], cell % SIDE + MOVES[action][1]
    there = row * SIDE + column
    return there if 0 <= row < SIDE and 0 <= column < SIDE and there not in WALLS else cell


def seen(cell: int) -> Float[Tensor, "25"]:
    return torch.eye(SIDE * SIDE)[cell]


class Grid:
    """Five by five cells with walls; a step costs 1 until the goal is reached. Starts anywhere."""

    starts = tuple(cell for cell in range(SIDE * SIDE) if cell not in {*WALLS, GOAL})

    def reset(self, *, seed: int) -> tuple[Tensor, dict[str, Any]]:
        self.cell, self.time = self.starts[keyed.mix(seed) % len(self.starts)], 0
        return seen(self.cell), {}

    def step(self, action: int) -> tuple[Tensor, float, bool, bool, dict[str, Any]]:
        self.cell, self.time = move(self.cell, action), self.time + 1
        return seen(self.cell), -1.0, self.cell == GOAL, self.time == 30, {}


class DQN(Task):
    """Learns the return that each action leads to, and acts by it: at random at first, greedily at last."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, discount: float = 0.95, follow: float = 0.02):
        super().__init__()
        self.model, self.optimizer, self.discount, self.follow = model, optimizer, discount, follow
        self.target = copy.deepcopy(model).requires_grad_(False)
        self.descent = Descent(model, optimizer)

    def forward(self, x: Float[Tensor, "batch cells"]) -> Float[Tensor, "batch actions"]:
        return self.model(x)

    def act(self, observation: Float[Tensor, "1 cells"]) -> int:
        if torch.rand(()) > 2 * self.progress:
            return int(torch.randint(len(MOVES), ()))
        return int(self.predict(x=observation).argmax())

    def loss(self, batch: Batch) -> Mean:
        value = self(batch["x"]).gather(1, batch["action"][:, None])[:, 0]
        with torch.no_grad():
            best = self.target(batch["next"]).max(1).values
        aim = batch["reward"] + self.discount * (1 - batch["done"]) * best
        return Mean.of((value - aim).square())

    def step(self, batch: Batch) -> Metrics:
        metrics = super().step(batch)
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, self.follow)
        return metrics


@recipe
def page(width: int = 64, lr: float = 2e-3, batch: int = 64, steps: int = 1500) -> Experiment:
    """Find the shortest way through a grid with walls, from any start."""
    task = DQN(MLP(SIDE * SIDE, width, out=len(MOVES)), Adam(lr))
    return Experiment(task=task, data=Replay(Grid(), task, batch, capacity=2000, warmup=200), steps=steps)


def score(task: DQN) -> float:
    """The share of starts from which the greedy action leads one cell nearer to the goal; at 1, every start's return is
    the best there is."""
    distance, reached = {GOAL: 0}, [GOAL]
    for cell in reached:  # grows as it goes: breadth first, and every move can be taken back
        for there in (move(cell, action) for action in range(len(MOVES))):
            if there not in distance:
                distance[there] = distance[cell] + 1
                reached.append(there)
    cells = torch.tensor(Grid.starts)
    actions = task.predict(x=torch.eye(SIDE * SIDE)[cells]).argmax(1).tolist()
    there = [move(cell, action) for cell, action in zip(Grid.starts, actions, strict=True)]
    return sum(distance[b] == distance[a] - 1 for a, b in zip(Grid.starts, there, strict=True)) / len(there)

"""Experience: an environment that a task acts in, and the memory that it learns from.

A `Replay` is a stream, so an agent that learns from its own past is an ordinary task. It is asked once a step and never
ahead, because what it holds next depends on what the task has learned; its memory is part of the checkpoint, and the
environment is brought back by replaying its actions since the last reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from descend.data.batch import Batch
from descend.data.stream import Stream
from descend.functional import keyed


@runtime_checkable
class Environment(Protocol):
    """What an agent acts in: deterministic, given the seed of the reset and the actions since (gymnasium's shape)."""

    def reset(self, *, seed: int) -> tuple[Any, dict]:
        """The first observation, and remarks."""
        ...

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict]:
        """Observation, reward, terminated (the world ended), truncated (time was up), remarks."""
        ...


@runtime_checkable
class Actor(Protocol):
    """What a task that learns by acting offers."""

    def act(self, observation: Float[Tensor, "1 *shape"]) -> int:
        """The action to take, exploration included; random draws come from torch's default generator."""
        ...


class Replay(Stream):
    """Acts with the task it feeds, remembers, and answers with uniform samples of what it remembers (Lin 1992).

    The batch holds ``x``, ``action``, ``reward``, ``next``, ``done`` (1 where the world ended and nothing follows).

    Args:
        environment: what is acted in.
        actor: the task; its ``act(observation)`` chooses.
        batch: transitions a batch.
        capacity: transitions remembered; the oldest go first.
        acts: transitions made a step.
        warmup: transitions made before the first batch, 1 or more.
    """

    def __init__(
        self,
        environment: Environment,
        actor: Actor,
        batch: int = 64,
        capacity: int = 10_000,
        acts: int = 1,
        warmup: int = 64,
    ):
        if not 1 <= warmup <= capacity:
            raise ValueError(f"warmup is {warmup} and capacity {capacity}: fill 1 to {capacity} transitions first")
        self.environment = environment
        self.actor = actor
        self.size = batch
        self.capacity = capacity
        self.acts = acts
        self.warmup = warmup
        self.memory: dict[str, Tensor] = {}
        self.made = 0
        self.asked = 0
        self.episode = 0
        self.actions: list[int] = []
        self._observation: Tensor | None = None

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        if ranks > 1:
            raise ValueError("a Replay acts in one environment: train it on one rank")
        if step != self.asked:
            raise ValueError(
                f"a Replay remembers, so it is asked once a step, in order: next is {self.asked}, not {step}"
            )
        self.asked += 1
        for number in range(self.acts if self.made >= self.warmup else self.warmup - self.made):
            keyed.reseed(self.seed, step, number, 1)
            self._act()
        filled = min(self.made, self.capacity)
        chosen = torch.randint(filled, (self.size,), generator=keyed.generator(self.seed, step, 2))
        return Batch({name: tensor[chosen] for name, tensor in self.memory.items()})

    def state_dict(self) -> dict[str, Any]:
        filled = min(self.made, self.capacity)
        memory = {name: tensor[:filled] for name, tensor in self.memory.items()}
        return {
            "memory": memory,
            "made": self.made,
            "asked": self.asked,
            "episode": self.episode,
            "actions": list(self.actions),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.made, self.asked, self.episode = state["made"], state["asked"], state["episode"]
        self.memory = {}
        for name, tensor in state["memory"].items():
            self.memory[name] = self._room(tensor[0])
            self.memory[name][: len(tensor)] = tensor
        self._observation = None
        if self.made:
            self._reset()
            for action in state["actions"]:
                self._observation = _tensor(self.environment.step(action)[0])
                self.actions.append(action)

    def _reset(self) -> None:
        self._observation = _tensor(self.environment.reset(seed=keyed.mix(self.seed, self.episode) >> 32)[0])
        self.actions = []

    def _act(self) -> None:
        if self._observation is None:
            self._reset()
        before = self._observation
        assert before is not None
        action = int(self.actor.act(before[None]))
        observation, reward, terminated, truncated, _ = self.environment.step(action)
        after = _tensor(observation)
        transition = {
            "x": before,
            "action": torch.tensor(action),
            "reward": torch.tensor(float(reward)),
            "next": after,
            "done": torch.tensor(float(terminated)),
        }
        for name, value in transition.items():
            if name not in self.memory:
                self.memory[name] = self._room(value)
            self.memory[name][self.made % self.capacity] = value
        self.made += 1
        self.actions.append(action)
        self._observation = after
        if terminated or truncated:
            self.episode += 1
            self.actions = []
            self._observation = None

    def _room(self, like: Tensor) -> Tensor:
        return torch.zeros(self.capacity, *like.shape, dtype=like.dtype)


def _tensor(observation: Any) -> Tensor:
    return torch.as_tensor(observation, dtype=torch.float32)

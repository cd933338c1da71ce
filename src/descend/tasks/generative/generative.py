"""What makes new examples: the base of all generative tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor

from descend.data import Batch
from descend.engine import Task
from descend.functional import keyed

Pictures = Float[Tensor, "batch channels height width"]


class Generative(Task):
    """Base. A sample depends on its number, the seed and what is asked for alone, not on what it is drawn with.

    Attributes:
        shape: of a sample: channels, height, width.
        classes: how many it can be asked for, by ``target``; None where it was taught none.
        answers: whether it also makes a picture of one that it is given (`predict`).
    """

    shape: tuple[int, ...]
    classes: int | None = None
    answers: bool = False

    @abstractmethod
    def sample(self, count: int, seed: int = 0, asked: Batch | None = None) -> Pictures:
        """So many pictures of 0 … 1, in evaluation mode and without gradients.

        Args:
            seed: fixes them.
            asked: what each is to show, a row each: ``target`` (a class), or a caption's tensors; anything if None.

        Raises:
            ValueError: the network cannot be asked for this, or not for as many.
        """


@contextmanager
def evaluating(task: Task) -> Iterator[None]:
    """Inside, the task is in evaluation mode, and no gradients are kept."""
    training = task.training
    task.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        task.train(training)


def numbers(count: int, shape: tuple[int, ...], seed: int, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal numbers [count, *shape]; those of row i depend on (seed, i) alone."""
    keys = keyed.hashed(torch.arange(count, device=device), seed)
    return keyed.normals(keys, int(torch.Size(shape).numel())).view(count, *shape)


def asked_for(asked: Batch | None, count: int, known: int | None) -> Int[Tensor, "count"] | None:
    """The classes that are asked for, or None.

    Args: known: how many classes the network knows, as `Generative.classes`.

    Raises:
        ValueError: it was taught none, there is another number of them than of samples, or one is none of its own.
    """
    if asked is None:
        return None
    if known is None or "target" not in asked:
        knows = "no classes" if known is None else f"{known} classes, by batches with a target"
        raise ValueError(f"asked was {', '.join(asked)}, and this network was taught {knows}")
    target = asked["target"]
    if len(target) != count or not bool(((target >= 0) & (target < known)).all()):
        raise ValueError(f"{count} samples of classes {target.tolist()[:5]} …: give one each, 0 … {known - 1}")
    return target

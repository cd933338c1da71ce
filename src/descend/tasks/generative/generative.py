"""What makes new examples: the base of all generative tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from descend.data import Batch, Data
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

    def asking(self, count: int, data: Data | None = None) -> Batch | None:
        """What so many pictures may be asked for, to show what it can: its classes in turn, captions out of these data;
        None where it knows neither."""
        return None if self.classes is None else Batch(target=torch.arange(count) % self.classes)


class FromNoise(Generative):
    """Base of what makes each sample of normal numbers of its own: there are ways from one to another."""

    @abstractmethod
    def walk(self, steps: int, seed: int = 0, asked: Batch | None = None) -> Pictures:
        """From sample 0 of this seed to sample 1, both among so many, by the `arc` between their numbers.

        Args: asked: as of `sample`, one row, which all are to show.
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


def normed_by_batch(module: nn.Module) -> tuple[str, str] | None:
    """Name and kind of a norm in it whose statistics are now those of the batch, which one sample alone has not."""
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm) and part.training:
            return name, type(part).__name__
    return None


def numbers(count: int, shape: tuple[int, ...], seed: int, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal numbers [count, *shape]; those of row i depend on (seed, i) alone.

    Raises:
        ValueError: count is below 1.
    """
    if count < 1:
        raise ValueError(f"{count} pictures were asked for: give 1 or more")
    keys = keyed.hashed(torch.arange(count, device=device), seed)
    return keyed.normals(keys, int(torch.Size(shape).numel())).view(count, *shape)


def content(x: Pictures) -> Int[Tensor, "batch"]:
    """A key of each picture's own numbers, by their bits: the same in any batch."""
    bits = x.float().contiguous().flatten(1).view(torch.int32).to(torch.int64)
    places = keyed.hashed(torch.arange(bits.shape[1], device=x.device))
    return keyed.hashed((bits * places).sum(1))


def arc(ends: Float[Tensor, "2 *shape"], steps: int) -> Float[Tensor, "steps *shape"]:
    """From one block of normal numbers to another on the great circle. On the straight line they would be shorter than
    what a network has learned from (Shoemake 1985, section 3.3; White 2016, "Sampling generative networks").

    Raises:
        ValueError: there are not two steps, for the ends.
    """
    if steps < 2:
        raise ValueError(f"{steps} steps were asked for: the two ends are among them, so give 2 or more")
    flat = ends.flatten(1).double()
    angle = torch.linalg.vecdot(*torch.nn.functional.normalize(flat)).clamp(-1, 1).arccos()
    share = torch.linspace(0, 1, steps, device=ends.device, dtype=torch.double)[:, None]
    rows = (((1 - share) * angle).sin() * flat[0] + (share * angle).sin() * flat[1]) / angle.sin()
    return rows.to(ends.dtype).view(steps, *ends.shape[1:])


def repeated(asked: Batch | None, count: int) -> Batch | None:
    """One row, so many times.

    Raises:
        ValueError: there are several.
    """
    if asked is not None and len(asked) != 1:
        raise ValueError(f"asked has {len(asked)} rows, and all of a way show the same: give one")
    return None if asked is None else Batch({name: one.expand(count, *one.shape[1:]) for name, one in asked.items()})


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

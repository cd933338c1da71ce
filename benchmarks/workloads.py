"""The networks and data that systems are compared on: plain torch, known to no framework."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional


class Recurrent(nn.Module):
    """The last state of an LSTM, classified."""

    def __init__(self, width: int = 128):
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Residual(nn.Module):
    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        same = before == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.first(x)))
        return functional.relu(self.norm2(self.second(y)) + self.shortcut(x))


def resnet20() -> nn.Module:
    """He et al. 2015, section 4.2, with projections in the shortcuts."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for width in (16, 32, 64):
        for place in range(3):
            layers.append(Residual(before, width, 2 if place == 0 and width > 16 else 1))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def small_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, context: int, letters: int = 65):
        super().__init__()
        self.token, self.place = nn.Embedding(letters, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, letters, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.token(x) + self.place.weight[: x.shape[1]]
        return self.head(self.norm(self.blocks(x))).transpose(1, 2)


@dataclass(frozen=True)
class Workload:
    """A network, what it is fed, and how much a sample counts.

    Attributes:
        shape: of one input; of letters where ``letters`` is above 0, and every letter has a target then.
        unit: 1, or the letters of a sample.
        flops: of one sample's forward and backward pass, in matrix products and convolutions.
    """

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch: int
    flops: float
    letters: int = 0
    samples: int = 4096

    @property
    def unit(self) -> int:
        return self.shape[0] if self.letters else 1

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make()

    def data(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets."""
        draw = torch.Generator().manual_seed(1)
        if self.letters:
            text = torch.randint(self.letters, (self.samples, self.shape[0] + 1), generator=draw)
            return text[:, :-1].contiguous(), text[:, 1:].contiguous()
        return torch.randn(self.samples, *self.shape, generator=draw), torch.randint(
            10, (self.samples,), generator=draw
        )


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def _gpt(layers: int, width: int, context: int) -> float:
    """Multiply-adds of the maps and of causal attention, two operations each, three passes."""
    return 3 * 2 * context * (layers * (12 * width**2 + context * width) + 65 * width)


WORKLOADS = {
    one.name: one
    for one in (
        Workload("mlp", mlp, (1, 28, 28), 128, 6.0 * (784 * 128 + 128 * 64 + 64 * 10), samples=16384),
        Workload("cnn", small_cnn, (3, 32, 32), 128, 6.0 * (27 * 32 * 1024 + 288 * 64 * 256 + 4096 * 128)),
        Workload("resnet20", resnet20, (3, 32, 32), 128, 6.0 * 40.8e6),
        Workload("lstm", Recurrent, (128, 128), 64, 6.0 * 128 * 4 * 128 * 256),
        Workload("gpt-4x128", lambda: GPT(4, 128, 4, 64), (64,), 12, _gpt(4, 128, 64), letters=65),
        Workload("gpt-6x384", lambda: GPT(6, 384, 6, 256), (256,), 16, _gpt(6, 384, 256), letters=65, samples=512),
    )
}

LR = 1e-3
"""Of AdamW, without decay, in every system."""


@dataclass
class Meter:
    """Counts steps; the rate is the median over windows of a quarter second, after a warm-up.

    >>> while not meter.tick():
    ...     step()

    A window on a GPU ends when all that was asked for is done.
    """

    batch: int
    device: str = "cpu"
    warm: float = 1.5
    seconds: float = 3.0
    begun: float = field(default_factory=time.perf_counter)
    first: float = 0.0
    _rates: list[float] = field(default_factory=list)
    _since: float = 0.0
    _steps: int = 0

    def tick(self, steps: int = 1) -> bool:
        """After so many steps; True when enough was seen."""
        now = time.perf_counter()
        if not self.first:
            now = self._done()
            self.first = now
        if now < self.first + self.warm:
            self._since = now
            return False
        self._steps += steps
        if now - self._since >= 0.25:
            now = self._done()
            self._rates.append(self._steps * self.batch / (now - self._since))
            self._since, self._steps = now, 0
        return now > self.first + self.warm + self.seconds

    def _done(self) -> float:
        """The time, once the device has done all that it was asked."""
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def row(self) -> dict[str, float]:
        """Samples a second, and the seconds from the start to the end of the first step."""
        return {"samples_per_s": statistics.median(self._rates), "first_step_s": self.first - self.begun}

"""Diffusion: a network learns to see a picture through noise; then noise becomes a picture, a little at a time (Ho et
al. 2020, "Denoising diffusion probabilistic models"; Song et al. 2021; Lipman et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from descend.data import Batch, Data
from descend.engine import Descent
from descend.functional import Mean, keyed
from descend.models import Condition
from descend.optim import Optimizer
from descend.tasks.generative.diffusion.objectives import MinSNR, Objective, Velocity, Weight
from descend.tasks.generative.diffusion.schedules import CosineSchedule, Schedule
from descend.tasks.generative.diffusion.solvers import DPMSolver, Solver
from descend.tasks.generative.diffusion.spaces import Codes, PixelSpace, Space
from descend.tasks.generative.generative import FromNoise, Pictures, arc, content, evaluating, numbers, repeated

TOGETHER = 250
"""Pictures that are made at once."""


@dataclass(frozen=True)
class Way:
    """How noise becomes a picture.

    Args:
        solver: of the way.
        steps: of the solver.
        guidance: how far it is led from what it would make unasked towards what is asked for, and beyond: 1 leads it
            there, more makes clearer and less various pictures (Ho and Salimans 2022, eq. 6, with 1 + w for it).
        led: how noisy a picture is where it is led beyond, 0 … 1, above the first and up to the second. What stands
            in noise alone is various yet, and what is nearly done gains nothing (Kynkäänniemi et al. 2024, "Applying
            guidance in a limited interval"); a step that is not led takes half the time.

    Raises:
        ValueError: the guidance is not above 0, the ends are not in order, or there is no step.
    """

    solver: Solver = DPMSolver()
    steps: int = 20
    guidance: float = 1.0
    led: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"{self.steps} solver steps were asked for: give 1 or more")
        if not self.guidance > 0:
            raise ValueError(
                f"guidance is {self.guidance:g}, which leads away from what is asked for: give 1 or more; to ask for "
                "nothing, leave out the class or the text"
            )
        if not 0 <= self.led[0] < self.led[1] <= 1:
            raise ValueError(f"led is {self.led}: give two shares of noise in order, 0 … 1")

    def guidance_at(self, noisy: float) -> float:
        """Of a picture that is so noisy, 0 … 1."""
        return self.guidance if self.led[0] < noisy <= self.led[1] else 1.0


class Diffusion(FromNoise):
    """Learns what noise to take away; makes pictures from noise, from other pictures, or where pictures have holes.

    >>> network = DenoisingUNet(1, (64, 128), fold=2)
    >>> task = Diffusion(network, AdamW(1e-3), (1, 28, 28), ClassCondition(10, network.width))
    >>> pictures = task.sample(16, seed=3, asked=Batch(target=torch.full((16,), 9)))

    Args:
        model: takes noisy codes, how noisy they are (0 … 1), and what a condition gives (`Asked`).
        optimizer: how it is moved; with an average, which is what pictures are made by.
        shape: of a picture.
        condition: what pictures can be asked for by; nothing if None.
        schedule: how pictures drown.
        objective: what the network says.
        weight: how much each step's error counts.
        way: how pictures are made, unless `sample` is told another.
        silent: share of the pictures that are learned without their condition, 0 … 1.
        space: where noise is added.
    """

    _signal: Tensor
    _noise: Tensor

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        schedule: Schedule = CosineSchedule(),
        objective: Objective = Velocity(),
        weight: Weight = MinSNR(),
        way: Way = Way(),
        silent: float = 0.1,
        space: Space | None = None,
    ):
        super().__init__()
        signal, noise = schedule.signal(), schedule.noise()
        p, q = objective.parts(signal, noise)
        if not bool((q * signal - p * noise).all()):
            raise ValueError(
                f"{objective} tells nothing of a picture at a signal of 0, which {schedule} ends at: take Velocity(), "
                "Flow() or Clean(), or a CosineSchedule(), which keeps some"
            )
        self.model = model
        self.optimizer = optimizer
        self.shape = shape
        self.condition = condition
        self.classes = None if condition is None else condition.classes
        self.schedule = schedule
        self.objective = objective
        self.weight = weight
        self.way = way
        self.silent = silent
        # An answer is a picture that nothing was asked of.
        self.answers = condition is None or silent > 0
        self.space = space
        self.descent = Descent([model] if condition is None else [model, condition], optimizer)
        self._within = PixelSpace() if space is None else space
        self.register_buffer("_signal", signal.float(), persistent=False)
        self.register_buffer("_noise", noise.float(), persistent=False)

    def forward(
        self, x: Codes, place: Int[Tensor, "batch"], told: Bool[Tensor, "batch"], **given: Tensor
    ) -> Float[Tensor, "batch numbers rows columns"]:
        """What the network says of noisy codes at these steps of the schedule; of which pictures it is told what they
        are to show."""
        asked = () if self.condition is None else self.condition(given, told)
        return self.model(x, (place + 1) / self.schedule.steps, *asked).float()

    def loss(self, batch: Batch) -> Mean:
        if self.training:
            count, device = len(batch["x"]), batch["x"].device
            place = torch.randint(self.schedule.steps, (count,), device=device)
            told = torch.rand(count, device=device) >= self.silent
            codes = self._codes(batch["x"])
            return self._loss(batch, codes, place, told, torch.randn_like(codes))
        # The same draws in every evaluation and any batch; all conditions told.
        codes, keys = self._codes(batch["x"]), content(batch["x"])
        place = (keyed.uniform(keys, 0) * self.schedule.steps).long()
        epsilon = keyed.normals(keys, codes[0].numel()).view_as(codes)
        return self._loss(batch, codes, place, torch.ones_like(place, dtype=torch.bool), epsilon)

    def _loss(self, batch: Batch, codes: Codes, place: Tensor, told: Tensor, epsilon: Codes) -> Mean:
        signal, noise = (table[place].view(-1, 1, 1, 1) for table in (self._signal, self._noise))
        out = self(signal * codes + noise * epsilon, place, told, **self._given(batch))
        error = (out - self.objective.target(codes, epsilon, signal, noise)) ** 2
        weight = self.weight(self.objective, signal, noise)
        return Mean((weight * error).sum(), error.numel())

    def _codes(self, x: Pictures) -> Codes:
        if tuple(x.shape[1:]) != tuple(self.shape):
            raise ValueError(f"pictures of {list(x.shape[1:])} came in, and this network makes {list(self.shape)}")
        with torch.no_grad():
            return self._within.encode(x.float())

    def _given(self, batch: Batch | None) -> dict[str, Tensor]:
        if batch is None or self.condition is None:
            return {}
        return self.condition.taken(batch)

    def predict(self, **inputs: Tensor) -> Pictures:
        """Each picture made anew from halfway into noise: as it might have been."""
        return self.vary(inputs["x"], 0.5)

    def sample(self, count: int, seed: int = 0, asked: Batch | None = None, way: Way | None = None) -> Pictures:
        *_, codes = self._back(self._drowned(count, seed), seed, asked, way or self.way)
        return self._decoded(codes)

    def asking(self, count: int, data: Data | None = None) -> Batch | None:
        if self.condition is None or self.classes is not None or data is None:
            return super().asking(count, data)
        rows = keyed.permutation(len(data), 0).repeat(-(-count // len(data)))[:count]
        batch = data.gather(rows).to(self.progress.device)
        return Batch(self.condition.taken(batch))

    def walk(self, steps: int, seed: int = 0, asked: Batch | None = None, way: Way | None = None) -> Pictures:
        """As of `FromNoise`; a solver that draws noise of its own adds it to each picture by itself."""
        *_, codes = self._back(arc(self._drowned(2, seed), steps), seed, repeated(asked, steps), way or self.way)
        return self._decoded(codes)

    def unfold(self, count: int, seed: int = 0, asked: Batch | None = None, way: Way | None = None) -> list[Pictures]:
        """The pictures that `sample` makes, as they look behind every step."""
        return [self._decoded(codes) for codes in self._back(self._drowned(count, seed), seed, asked, way or self.way)]

    def vary(
        self, x: Pictures, strength: float, seed: int = 0, asked: Batch | None = None, way: Way | None = None
    ) -> Pictures:
        """Pictures like these, from so far into noise, above 0, up to 1 (Meng et al. 2022, "SDEdit")."""
        *_, codes = self._back(self._drowned(len(x), seed), seed, asked, way or self.way, self._codes(x), strength)
        return self._decoded(codes)

    def inpaint(
        self,
        x: Pictures,
        hole: Bool[Tensor, "batch 1 height width"],
        seed: int = 0,
        asked: Batch | None = None,
        way: Way | None = None,
    ) -> Pictures:
        """Pictures as these around their holes. What is thought there is replaced by what is known at every step, so
        that the network sees it drowned exactly as far as the rest (Song et al. 2021, "Score-based generative
        modeling", appendix I).

        Raises:
            ValueError: noise is not added to pixels.
        """
        if self.space is not None:
            raise ValueError("holes are filled among pixels, and this network knows codes: train one without a space")
        *_, codes = self._back(self._drowned(len(x), seed), seed, asked, way or self.way, self._codes(x), hole=hole)
        return self._decoded(codes)

    def _drowned(self, count: int, seed: int) -> Codes:
        """Noise alone."""
        return numbers(count, self._within.shape(self.shape), seed, self.progress.device)

    def _back(
        self,
        x: Codes,
        seed: int,
        asked: Batch | None,
        way: Way,
        known: Codes | None = None,
        strength: float = 1.0,
        hole: Tensor | None = None,
    ) -> Iterator[Codes]:
        """The codes behind every step of the way back: from noise x; from known codes that are drowned; or with all
        known but the hole."""
        count = len(x)
        if asked is not None and self.condition is None:
            raise ValueError(f"asked was {', '.join(asked)}, and this network was taught no condition")
        if asked is None and self.condition is not None and not self.silent:
            raise ValueError(
                "this network was always told what to show: ask for something, or teach it with silent=0.1"
            )
        if way.guidance != 1 and not self.silent and self.condition is not None:
            raise ValueError(
                f"guidance {way.guidance:g} leads away from what is made unasked, which this network was never taught: "
                "give guidance 1, or teach it with silent=0.1"
            )
        if asked is not None and self.condition is not None:
            self.condition.check(asked, count)
            with evaluating(self):
                asked = Batch(self.condition.taken(asked.to(self.progress.device)))
        steps = max(1, round(way.steps * strength))
        path = self.schedule.path(steps, strength)
        if known is not None and hole is None:
            x = path.signal[0] * known + path.noise[0] * x

        def thought(x: Codes, i: int) -> Codes:
            noisy = (path.places[i] + 1) / self.schedule.steps
            out = self._said(x, noisy, asked, way.guidance_at(noisy))
            clean = self.objective.clean(out, x, path.signal[i], path.noise[i])
            bound = self._within.bound
            clean = clean if bound is None else clean.clamp(-bound, bound)
            return clean if hole is None or known is None else clean.where(hole, known)

        def draw(i: int) -> Tensor:
            return numbers(count, x.shape[1:], keyed.mix(seed, 1 + path.places[i]), x.device)

        return way.solver.steps(thought, x, path, draw)

    def _said(self, x: Codes, noisy: float, asked: Batch | None, guidance: float) -> Codes:
        """What the network says of codes that are so noisy, 0 … 1, led by what is asked for."""
        said = []
        with evaluating(self):
            for rows in torch.arange(len(x), device=x.device).split(TOGETHER):
                time = torch.full((len(rows),), noisy, device=x.device)
                alone = () if self.condition is None else self.condition.nothing(len(rows))
                if asked is None or self.condition is None:
                    said.append(self.model(x[rows], time, *alone).float())
                    continue
                own = {name: asked[name][rows] for name in self.condition.names}
                led = self.model(x[rows], time, *self.condition(own, torch.ones_like(rows, dtype=torch.bool))).float()
                if guidance != 1:
                    unled = self.model(x[rows], time, *alone).float()
                    led = unled + guidance * (led - unled)
                said.append(led)
        return torch.cat(said)

    def _decoded(self, codes: Codes) -> Pictures:
        with evaluating(self):
            return self._within.decode(codes)

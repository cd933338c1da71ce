"""Diffusion: network, schedule, objective and solver are independent choices."""

from descend.tasks.generative.diffusion.diffusion import Diffusion, Way
from descend.tasks.generative.diffusion.objectives import (
    Clean,
    Epsilon,
    Even,
    Flow,
    MinSNR,
    Objective,
    Velocity,
    Weight,
)
from descend.tasks.generative.diffusion.schedules import (
    CosineSchedule,
    LinearSchedule,
    Path,
    Schedule,
    StraightSchedule,
)
from descend.tasks.generative.diffusion.solvers import DDIM, DPMSolver, Heun, Solver, ancestral
from descend.tasks.generative.diffusion.spaces import LatentSpace, PixelSpace, Space

__all__ = [
    "DDIM",
    "Clean",
    "CosineSchedule",
    "DPMSolver",
    "Diffusion",
    "Epsilon",
    "Even",
    "Flow",
    "Heun",
    "LatentSpace",
    "LinearSchedule",
    "MinSNR",
    "Objective",
    "Path",
    "PixelSpace",
    "Schedule",
    "Solver",
    "Space",
    "StraightSchedule",
    "Velocity",
    "Way",
    "Weight",
    "ancestral",
]

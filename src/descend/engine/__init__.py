"""The engine: one loop for every paradigm."""

from descend.engine.checkpoint import CheckpointError, Checkpoints
from descend.engine.compute import Compute
from descend.engine.config import arguments, build, describe
from descend.engine.descent import Descent
from descend.engine.errors import Diverged, Interrupted, Stop, UsageError, VerificationFailed
from descend.engine.evaluate import Evaluation, evaluate
from descend.engine.experiment import Experiment
from descend.engine.fit import STEP, Fitted, fit
from descend.engine.goal import Goal, Max, Min
from descend.engine.observers import (
    Best,
    EarlyStopping,
    Journal,
    Lines,
    Moment,
    Observer,
    Progress,
    TensorBoard,
    screen,
)
from descend.engine.passes import Clock, Metrics
from descend.engine.predictor import ModelError, Predictor, load, weights
from descend.engine.ranks import Ranks
from descend.engine.recipe import Choice, Recipe, find_recipe, recipe
from descend.engine.run import Run
from descend.engine.task import Task
from descend.engine.train import Result, resume, train

__all__ = [
    "STEP",
    "Best",
    "CheckpointError",
    "Checkpoints",
    "Choice",
    "Clock",
    "Compute",
    "Descent",
    "Diverged",
    "EarlyStopping",
    "Evaluation",
    "Experiment",
    "Fitted",
    "Goal",
    "Interrupted",
    "Journal",
    "Lines",
    "Max",
    "Metrics",
    "Min",
    "ModelError",
    "Moment",
    "Observer",
    "Predictor",
    "Progress",
    "Ranks",
    "Recipe",
    "Result",
    "Run",
    "Stop",
    "Task",
    "TensorBoard",
    "UsageError",
    "VerificationFailed",
    "arguments",
    "build",
    "describe",
    "evaluate",
    "find_recipe",
    "fit",
    "load",
    "recipe",
    "resume",
    "screen",
    "train",
    "weights",
]

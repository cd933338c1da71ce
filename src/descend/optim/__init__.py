"""Descriptions of optimizers, schedules, clipping, averaged weights and gradient rules."""

from descend.optim.adam import Adam, AdamW, NAdam
from descend.optim.adaptive import Adadelta, Adagrad, RMSprop
from descend.optim.average import EMA
from descend.optim.clip import Clip, ClipNorm, ClipValue
from descend.optim.direct import Direct
from descend.optim.lion import Lion
from descend.optim.muon import Muon
from descend.optim.optimizer import Named, Optimizer, named
from descend.optim.rates import Rates
from descend.optim.rules import Passes, PerSample, Plain, Rule, SharpnessAware
from descend.optim.schedules import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    Milestones,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    Step,
    WarmUp,
    WarmupStableDecay,
)
from descend.optim.sgd import SGD

__all__ = [
    "EMA",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Clip",
    "ClipNorm",
    "ClipValue",
    "Constant",
    "Cosine",
    "Direct",
    "Exponential",
    "Linear",
    "Lion",
    "Milestones",
    "Muon",
    "NAdam",
    "Named",
    "OneCycle",
    "Optimizer",
    "Passes",
    "PerSample",
    "Plain",
    "RMSprop",
    "Rates",
    "ReduceOnPlateau",
    "Rule",
    "Schedule",
    "SharpnessAware",
    "Step",
    "WarmUp",
    "WarmupStableDecay",
    "named",
]

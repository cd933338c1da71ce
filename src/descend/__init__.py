"""All of deep learning on one small engine.

>>> import descend
>>> predictor = descend.load("runs/digits-1")
>>> predictor.predict("examples/seven.png")
{'label': '7', 'confidence': 0.99, …}

The engine's names stand here too (`recipe`, `Experiment`, `Task`, `Descent`, `train` …), and `load`. They are imported
on first use, so that the command line answers before torch is there.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descend.engine import (
        Compute,
        Descent,
        Experiment,
        Max,
        Min,
        Predictor,
        Task,
        evaluate,
        fit,
        recipe,
        resume,
        train,
    )
    from descend.ship import load

__version__ = "0.1.0"

__all__ = [
    "Compute",
    "Descent",
    "Experiment",
    "Max",
    "Min",
    "Predictor",
    "Task",
    "__version__",
    "evaluate",
    "fit",
    "load",
    "recipe",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("descend.ship" if name == "load" else "descend.engine"), name)
    raise AttributeError(f"descend has no {name!r}; it has {', '.join(__all__)}, and the packages inside it")


def __dir__() -> list[str]:
    return sorted(__all__)

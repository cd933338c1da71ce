"""What watches a run."""

from descend.engine.observers.journal import Journal, TensorBoard
from descend.engine.observers.keeping import Best, EarlyStopping
from descend.engine.observers.observer import Moment, Observer
from descend.engine.observers.screen import Lines, Progress, screen

__all__ = ["Best", "EarlyStopping", "Journal", "Lines", "Moment", "Observer", "Progress", "TensorBoard", "screen"]

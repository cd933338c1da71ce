"""Detection: the task, and its two ways of learning."""

from descend.tasks.detect.dense import Dense
from descend.tasks.detect.detect import Detect, Learn
from descend.tasks.detect.sets import Sets

__all__ = ["Dense", "Detect", "Learn", "Sets"]

"""One way of learning a file."""

from descend.tasks.classify import Classify
from descend.tasks.regress import Regress
from descend.tasks.segment import Segment

__all__ = ["Classify", "Regress", "Segment"]

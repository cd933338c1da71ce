"""One way of learning a file."""

from descend.tasks.classify import Classify
from descend.tasks.regress import Regress

__all__ = ["Classify", "Regress"]

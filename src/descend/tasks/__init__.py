"""One way of learning a file."""

from descend.tasks.classify import Classify
from descend.tasks.detect import Dense, Detect, Learn, Sets
from descend.tasks.embed import ArcFace, Embed, Triplets, alike, knowing
from descend.tasks.regress import Regress
from descend.tasks.restore import Luminance, Pixels, Restore, RestoreAdversarial, View
from descend.tasks.segment import Segment

__all__ = [
    "ArcFace",
    "Classify",
    "Dense",
    "Detect",
    "Embed",
    "Learn",
    "Luminance",
    "Pixels",
    "Regress",
    "Restore",
    "RestoreAdversarial",
    "Segment",
    "Sets",
    "Triplets",
    "View",
    "alike",
    "knowing",
]

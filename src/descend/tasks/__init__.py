"""One way of learning a file."""

from descend.tasks.classify import Classify
from descend.tasks.detect import Dense, Detect, Learn, Sets
from descend.tasks.embed import ArcFace, Embed, Triplets, alike, knowing
from descend.tasks.regress import Regress
from descend.tasks.restore import Luminance, Pixels, Restore, RestoreAdversarial, View
from descend.tasks.segment import Segment
from descend.tasks.text import (
    Answer,
    CarriedLanguage,
    Greedy,
    Language,
    MaskedLanguage,
    Sample,
    Sentences,
    Summarise,
    Tag,
    Translate,
    beams,
    generate,
)

__all__ = [
    "Answer",
    "ArcFace",
    "CarriedLanguage",
    "Classify",
    "Dense",
    "Detect",
    "Embed",
    "Greedy",
    "Language",
    "Learn",
    "Luminance",
    "MaskedLanguage",
    "Pixels",
    "Regress",
    "Restore",
    "RestoreAdversarial",
    "Sample",
    "Segment",
    "Sentences",
    "Sets",
    "Summarise",
    "Tag",
    "Translate",
    "Triplets",
    "View",
    "alike",
    "beams",
    "generate",
    "knowing",
]

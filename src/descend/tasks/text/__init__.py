"""Tasks whose examples or answers are texts."""

from descend.tasks.text.answer import Answer
from descend.tasks.text.generate import Greedy, Sample, beams, generate
from descend.tasks.text.language import CarriedLanguage, Language
from descend.tasks.text.masked import MaskedLanguage
from descend.tasks.text.sentences import Sentences
from descend.tasks.text.tag import Tag
from descend.tasks.text.translate import Summarise, Translate

__all__ = [
    "Answer",
    "CarriedLanguage",
    "Greedy",
    "Language",
    "MaskedLanguage",
    "Sample",
    "Sentences",
    "Summarise",
    "Tag",
    "Translate",
    "beams",
    "generate",
]

"""Networks that read and tell texts."""

from descend.models.text.attend import AdditiveScore, DotScore, RecurrentTranslator, Score
from descend.models.text.bert import BERT, MaskedBERT
from descend.models.text.captions import CaptionEncoder
from descend.models.text.copying import Copying
from descend.models.text.encoders import (
    FirstToken,
    MeanOfTokens,
    MostOfTokens,
    RecurrentEncoder,
    Summary,
    Tagger,
    TextClassifier,
)
from descend.models.text.gpt import GPT
from descend.models.text.head import Head, Logits, Tied, Untied
from descend.models.text.memory import Memory
from descend.models.text.reader import RecurrentReader
from descend.models.text.recurrent import RecurrentLanguage
from descend.models.text.stories import MemoryNetwork
from descend.models.text.translate import Transformer

__all__ = [
    "BERT",
    "GPT",
    "AdditiveScore",
    "CaptionEncoder",
    "Copying",
    "DotScore",
    "FirstToken",
    "Head",
    "Logits",
    "MaskedBERT",
    "MeanOfTokens",
    "Memory",
    "MemoryNetwork",
    "MostOfTokens",
    "RecurrentEncoder",
    "RecurrentLanguage",
    "RecurrentReader",
    "RecurrentTranslator",
    "Score",
    "Summary",
    "Tagger",
    "TextClassifier",
    "Tied",
    "Transformer",
    "Untied",
]

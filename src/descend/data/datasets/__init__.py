"""Real data, as splits."""

from descend.data.datasets.adding import Adding, adding
from descend.data.datasets.babi import babi
from descend.data.datasets.boxes import Boxed, coco, voc, yolo
from descend.data.datasets.cifar import cifar10
from descend.data.datasets.detection import bccd, boxed
from descend.data.datasets.digits import digits
from descend.data.datasets.emoji import captioned, emoji
from descend.data.datasets.fashion import fashion_mnist, fashion_pictures
from descend.data.datasets.folder import folder
from descend.data.datasets.masks import masks, membrane
from descend.data.datasets.novelty import novelty
from descend.data.datasets.people import orl, people
from descend.data.datasets.questions import Questions, questions, squad
from descend.data.datasets.restoration import BSD68, SET5, SET12, SET14, Photos, PhotoSet, damaged, restoration
from descend.data.datasets.rows import parallel, rows
from descend.data.datasets.scenes import Scenes, scenes
from descend.data.datasets.table import breast_cancer, diabetes, split_table, table, wine, write_generated
from descend.data.datasets.tags import conll, tagged
from descend.data.datasets.text import Windows, corpus, mapped, shakespeare, text
from descend.data.datasets.texts import Texts, by_key, labelled, multi30k, pairs, sst2, synopses

__all__ = [
    "BSD68",
    "SET5",
    "SET12",
    "SET14",
    "Adding",
    "Boxed",
    "PhotoSet",
    "Photos",
    "Questions",
    "Scenes",
    "Texts",
    "Windows",
    "adding",
    "babi",
    "bccd",
    "boxed",
    "breast_cancer",
    "by_key",
    "captioned",
    "cifar10",
    "coco",
    "conll",
    "corpus",
    "damaged",
    "diabetes",
    "digits",
    "emoji",
    "fashion_mnist",
    "fashion_pictures",
    "folder",
    "labelled",
    "mapped",
    "masks",
    "membrane",
    "multi30k",
    "novelty",
    "orl",
    "pairs",
    "parallel",
    "people",
    "questions",
    "restoration",
    "rows",
    "scenes",
    "shakespeare",
    "split_table",
    "squad",
    "sst2",
    "synopses",
    "table",
    "tagged",
    "text",
    "voc",
    "wine",
    "write_generated",
    "yolo",
]

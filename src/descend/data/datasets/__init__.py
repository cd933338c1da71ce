"""Real data, as splits."""

from descend.data.datasets.boxes import Boxed, coco, voc, yolo
from descend.data.datasets.cifar import cifar10
from descend.data.datasets.detection import bccd, boxed
from descend.data.datasets.digits import digits
from descend.data.datasets.fashion import fashion_mnist
from descend.data.datasets.folder import folder
from descend.data.datasets.masks import masks, membrane
from descend.data.datasets.people import orl, people
from descend.data.datasets.restoration import BSD68, SET5, SET12, SET14, Photos, PhotoSet, restoration
from descend.data.datasets.scenes import Scenes, scenes
from descend.data.datasets.table import breast_cancer, diabetes, split_table, table, wine, write_generated

__all__ = [
    "BSD68",
    "SET5",
    "SET12",
    "SET14",
    "Boxed",
    "PhotoSet",
    "Photos",
    "Scenes",
    "bccd",
    "boxed",
    "breast_cancer",
    "cifar10",
    "coco",
    "diabetes",
    "digits",
    "fashion_mnist",
    "folder",
    "masks",
    "membrane",
    "orl",
    "people",
    "restoration",
    "scenes",
    "split_table",
    "table",
    "voc",
    "wine",
    "write_generated",
    "yolo",
]

"""Real data, as splits."""

from descend.data.datasets.boxes import Boxed, coco, voc, yolo
from descend.data.datasets.cifar import cifar10
from descend.data.datasets.digits import digits
from descend.data.datasets.fashion import fashion_mnist
from descend.data.datasets.folder import folder
from descend.data.datasets.masks import masks, membrane
from descend.data.datasets.table import breast_cancer, diabetes, split_table, table, wine, write_generated

__all__ = [
    "Boxed",
    "breast_cancer",
    "cifar10",
    "coco",
    "diabetes",
    "digits",
    "fashion_mnist",
    "folder",
    "masks",
    "membrane",
    "split_table",
    "table",
    "voc",
    "wine",
    "write_generated",
    "yolo",
]

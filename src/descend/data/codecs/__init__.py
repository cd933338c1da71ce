"""Raw examples to tensors, outputs to answers."""

from descend.data.codecs.codec import Codec
from descend.data.codecs.column import Category, Column, Date, Number
from descend.data.codecs.image import ImageCodec
from descend.data.codecs.mask import MaskCodec
from descend.data.codecs.table import TableCodec

__all__ = ["Category", "Codec", "Column", "Date", "ImageCodec", "MaskCodec", "Number", "TableCodec"]

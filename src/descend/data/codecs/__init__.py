"""Raw examples to tensors, outputs to answers."""

from descend.data.codecs.box import BoxCodec
from descend.data.codecs.caption import CaptionCodec
from descend.data.codecs.codec import Codec
from descend.data.codecs.column import Category, Column, Date, Number
from descend.data.codecs.embed import EmbedCodec
from descend.data.codecs.image import ImageCodec
from descend.data.codecs.mask import MaskCodec
from descend.data.codecs.novelty import NoveltyCodec
from descend.data.codecs.photo import PhotoCodec
from descend.data.codecs.picture import PictureCodec
from descend.data.codecs.question import AnswerCodec
from descend.data.codecs.sequence import SequenceCodec
from descend.data.codecs.story import StoryCodec
from descend.data.codecs.table import TableCodec
from descend.data.codecs.tag import TagCodec
from descend.data.codecs.text import PromptCodec, TextCodec

__all__ = [
    "AnswerCodec",
    "BoxCodec",
    "CaptionCodec",
    "Category",
    "Codec",
    "Column",
    "Date",
    "EmbedCodec",
    "ImageCodec",
    "MaskCodec",
    "NoveltyCodec",
    "Number",
    "PhotoCodec",
    "PictureCodec",
    "PromptCodec",
    "SequenceCodec",
    "StoryCodec",
    "TableCodec",
    "TagCodec",
    "TextCodec",
]

"""Pictures with a caption each: pictures are given and made, captions ask for them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from descend.data.codecs.picture import PictureCodec
from descend.data.errors import BadData

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class CaptionCodec(PictureCodec):
    """A picture as `PictureCodec` reads it, on white, and a caption as ``tokens`` [time] and which are ``kept``.

    >>> task.sample(1, asked=Batch({name: one[None] for name, one in codec.asked("red apple").items()}))

    Args:
        tokenizer: as the tokenizers library writes it, a JSON text.
        known: the words of the captions that were learned from, as `caption_words` gives them.
        height, width, channels: as of `PictureCodec`.
        length: the most tokens of a caption.
    """

    def __init__(
        self,
        tokenizer: str,
        known: tuple[str, ...],
        height: int,
        width: int,
        channels: int = 3,
        length: int = 64,
    ):
        super().__init__(height, width, channels, ground=1.0)
        self.tokenizer = tokenizer
        self.known = known
        self.length = length

    @cached_property
    def _tokens(self) -> Tokenizer:
        from descend.data.tokens import from_json

        return from_json(self.tokenizer, self.length)

    def asked(self, text: str) -> dict[str, Tensor]:
        """The tensors of one caption. Words that no learned caption has are named in a warning: a network guesses them
        by what its text encoder knows of them.

        Raises:
            BadData: it has no word.
        """
        strange = sorted(set(caption_words(text)) - set(self.known))
        tokens, kept = self.tokenised([text])
        if strange:
            several = "s" * (len(strange) > 1)
            warnings.warn(
                f"no caption that was learned from has the word{several} {', '.join(strange)}: what is drawn for that "
                "is guessed",
                stacklevel=2,
            )
        return {"tokens": tokens[0], "kept": kept[0]}

    def tokenised(self, captions: Sequence[str]) -> tuple[Int[Tensor, "n time"], Bool[Tensor, "n time"]]:
        """Tokens of several captions, 0 behind the shorter ones, and which are a caption's own.

        Raises:
            BadData: one has no word.
        """
        for caption in captions:
            if not caption_words(caption):
                raise BadData(f"the caption {caption!r} has no word: say what the picture shows")
        rows = [self._tokens.encode(_plain(caption)).ids for caption in captions]
        long = max(map(len, rows))
        tokens = torch.tensor([row + [0] * (long - len(row)) for row in rows])
        kept = torch.arange(long) < torch.tensor([len(row) for row in rows])[:, None]
        return tokens, kept

    def caption(self, tokens: Int[Tensor, "time"], kept: Bool[Tensor, "time"]) -> str:
        """The text of a caption's tokens, as far as its tokenizer keeps it."""
        return self._tokens.decode(tokens[kept].tolist(), skip_special_tokens=True)


def caption_words(text: str) -> tuple[str, ...]:
    """The words of a caption in small letters, in their order."""
    return tuple(re.findall(r"\w+(?:'\w+)*", _plain(text).lower()))


def _plain(text: str) -> str:
    """Both apostrophes are one letter to who types."""
    return text.replace("’", "'")

"""Texts: what is read becomes tokens, what is told becomes a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from descend.data.codecs.codec import Codec, best_labels
from descend.data.errors import BadData
from descend.data.reading import read_lines, read_text, written

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TextCodec(Codec):
    """A text as ``tokens`` [time], cut behind ``length``. Answers are labels, texts, or points of a space.

    >>> codec = TextCodec(byte_pairs(training, 8000).to_str(), labels=("negative", "positive"))
    >>> codec.encode("a fine film")["tokens"]

    Args:
        tokenizer: as the tokenizers library writes it, a JSON text.
        length: the most tokens of a text; all if None.
        labels: the classes' names, where the answer is one.
        encoding: of files.
        marked: whether a text gets the tokens that its tokenizer puts before and behind it.
        end: the token that ends an answer.
        column: of a table, in which the text stands.
    """

    def __init__(
        self,
        tokenizer: str,
        length: int | None = None,
        labels: tuple[str, ...] | None = None,
        encoding: str = "utf-8",
        marked: bool = False,
        end: int = 3,
        column: str = "text",
    ):
        self.tokenizer = tokenizer
        self.length = length
        self.labels = labels
        self.encoding = encoding
        self.marked = marked
        self.end = end
        self.column = column

    def answering(self, labels: tuple[str, ...]) -> TextCodec:
        """The same codec with these labels as answers."""
        return type(self)(self.tokenizer, self.length, labels, self.encoding, self.marked, self.end, self.column)

    def reading(self, encoding: str, column: str) -> TextCodec:
        """The same codec for files of this encoding, and tables with this column."""
        return type(self)(self.tokenizer, self.length, self.labels, encoding, self.marked, self.end, column)

    @cached_property
    def tokens(self) -> Tokenizer:
        """The tokenizer itself, which cuts nothing."""
        from descend.data.tokens import from_json

        return from_json(self.tokenizer)

    @cached_property
    def _cutting(self) -> Tokenizer:
        from descend.data.tokens import from_json

        return from_json(self.tokenizer, self.length)

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return self.tokens.get_vocab_size()

    def encode(self, raw: str | bytes | Path | Mapping[str, Any]) -> dict[str, Tensor]:
        """From a text; or from the path of a file, or its bytes; or from a row of a table, by its ``column``.

        Raises:
            BadData: a file cannot be read or is not in this encoding, naming the byte; or the text has no token.
        """
        text = self.read(raw)
        ids = self.numbers(text)
        if not text.strip() or not ids:
            raise BadData(f"the text {text[:40]!r} has no word: give one letter or more")
        return {"tokens": torch.tensor(ids)}

    def read(self, raw: str | bytes | Path | Mapping[str, Any]) -> str:
        """The text itself. Raises: BadData: as of `encode`; or the row has no such column, or no text there."""
        if isinstance(raw, Mapping):
            if self.column not in raw:
                raise BadData(
                    f"a row has the columns {', '.join(raw)}: its text is looked for in the column {self.column}"
                )
            return written(raw[self.column], f"the column {self.column}")
        if not isinstance(raw, str | bytes | Path):
            raise BadData(f"{str(raw)[:40]!r} is a {type(raw).__name__}: give a text, or an object with {self.column}")
        return read_text(raw, self.encoding)

    def numbers(self, text: str) -> list[int]:
        """The numbers of a text's tokens, as many as are read."""
        return self._cutting.encode(text, add_special_tokens=self.marked).ids

    def text(self, numbers: Sequence[int]) -> str:
        """The text of some tokens as far as the one that ends it, without special ones."""
        own = list(numbers)
        own = own[: own.index(self.end)] if self.end in own else own
        return self.tokens.decode([number for number in own if number >= 0], skip_special_tokens=True)

    def decode(self, output: Tensor) -> dict[str, Any]:
        """``label``, its ``confidence``, and the likeliest in ``top``; of tokens their ``text``; of other numbers
        themselves, an ``embedding``."""
        if not output.is_floating_point():
            return {"text": self.text(output.tolist())}
        return {"embedding": output.tolist()} if self.labels is None else best_labels(self.labels, output)

    def words(self, sample: Mapping[str, Tensor], output: Tensor | None = None) -> dict[str, str] | None:
        tokens, target = sample["tokens"], sample.get("target")
        given = tokens[sample["kept"]] if "kept" in sample else tokens
        found = {"given": self.text(given.tolist())}
        if target is not None:
            found["meant"] = self.labels[int(target)] if self.labels else self.text(target.tolist())
        if output is not None:
            found["answered"] = self._said(output)
        return found

    def _said(self, output: Tensor) -> str:
        answer = self.decode(output)
        if "label" in answer:
            return f"{answer['label']} ({answer['confidence']:.0%})"
        return answer.get("text", "")

    def parts(self, source: str | Path, encoding: str | None = None) -> list[tuple[str, Any]]:
        """A text itself; of a file every line that holds something."""
        if isinstance(source, str):
            return [(source, source)]
        lines = read_lines(source, encoding or self.encoding)
        found: list[tuple[str, Any]] = [
            (f"{source}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()
        ]
        if not found:
            raise BadData(f"{source} is empty: give a text, a line each")
        return found


class PromptCodec(TextCodec):
    """The beginning of a text, to be told on; of a file all its lines together. Args: as of `TextCodec`.

    What is longer than ``length`` is not cut, as its end is what matters, but refused.
    """

    def numbers(self, text: str) -> list[int]:
        ids = self.tokens.encode(text, add_special_tokens=self.marked).ids
        if self.length is not None and len(ids) > self.length:
            raise BadData(
                f"the text has {len(ids):,} tokens, and at most {self.length:,} are read before it is told on: give "
                "its end alone"
            )
        return ids

    def words(self, sample: Mapping[str, Tensor], output: Tensor | None = None) -> dict[str, str] | None:
        """How a text goes on is no answer that is right or wrong, so that nothing was meant."""
        return super().words({"tokens": sample["tokens"]}, output)

    def parts(self, source: str | Path, encoding: str | None = None) -> list[tuple[str, Any]]:
        """All of it."""
        return [(str(source), read_text(source, encoding or self.encoding))]

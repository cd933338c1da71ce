"""Texts with a label for each word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from descend.data.codecs.text import TextCodec


class TagCodec(TextCodec):
    """A text as the tokens of its words; the first token of each has the label. Args: as of `TextCodec`."""

    def pieces(self, words: Sequence[str]) -> tuple[list[int], list[int | None]]:
        """The tokens of words, and where the first of each stands, None for a word without one; words that do not fit
        any more are left out."""
        numbers: list[int] = []
        first: list[int | None] = []
        for word in words:
            own = self.tokens.encode(word, add_special_tokens=False).ids
            if self.length is not None and len(numbers) + len(own) > self.length:
                break
            first.append(len(numbers) if own else None)
            numbers += own
        return numbers, first

    def numbers(self, text: str) -> list[int]:
        return self.pieces(cut(text))[0]

    def answer(self, raw: Any, output: Float[Tensor, "time classes"]) -> dict[str, Any]:
        """``tags``: each word and its label."""
        if self.labels is None:
            raise ValueError("this codec has no labels: TagCodec(…, labels=(…))")
        words = cut(self.read(raw))
        best = output.argmax(1).tolist()
        found = zip(words, self.pieces(words)[1], strict=False)
        return {"tags": [[word, self.labels[best[at]]] for word, at in found if at is not None]}

    def words(self, sample: Mapping[str, Tensor], output: Tensor | None = None) -> dict[str, str] | None:
        tokens, target = sample["tokens"], sample["target"]
        found = {"given": self.tokens.decode(tokens[sample["kept"]].tolist()), "meant": self._labelled(tokens, target)}
        if output is not None:
            found["answered"] = self._labelled(tokens, output.argmax(1).where(target >= 0, -1))
        return found

    def _labelled(self, tokens: Tensor, numbers: Tensor) -> str:
        assert self.labels is not None
        both = zip(tokens.tolist(), numbers.tolist(), strict=True)
        return " ".join(f"{self.tokens.id_to_token(token)}/{self.labels[label]}" for token, label in both if label >= 0)


def cut(text: str) -> list[str]:
    """Words, and marks alone."""
    return re.findall(r"\w+(?:['’]\w+)*|[^\w\s]", text)

"""Texts with questions, whose answers are words of the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from descend.data.codecs.text import TextCodec
from descend.data.errors import BadData
from descend.data.reading import read_lines


class AnswerCodec(TextCodec):
    """A question and the text that answers it, one row of ``tokens`` with ``segments`` 0 and 1. Of a text that is
    longer than ``length``, its end is cut. Args: as of `TextCodec`.

    >>> codec.encode("The cat sat on the mat. Where did the cat sit?")
    >>> codec.encode({"text": "The cat sat on the mat.", "question": "Where did the cat sit?"})
    """

    def encode(self, raw: Any) -> dict[str, Tensor]:
        """Raises: BadData: there is no question, or no text."""
        text, question = self._both(raw)
        asked = self.tokens.encode(question, add_special_tokens=False).ids
        told = self.tokens.encode(text, add_special_tokens=False).ids
        if not asked or not told:
            raise BadData("the question or the text has no word: give both, the question behind the text")
        asked = [*asked, self.end]
        numbers = [*asked, *told][: self.length]
        segments = [0] * len(asked) + [1] * len(told)
        if len(numbers) <= len(asked):
            raise BadData(f"the question has {len(asked):,} tokens and leaves no room of {self.length} for the text")
        return {"tokens": torch.tensor(numbers), "segments": torch.tensor(segments[: len(numbers)])}

    def span(self, text: str, question: str, begin: int, end: int) -> tuple[int, int] | None:
        """First and last token of the letters ``begin`` … ``end`` of the text, among those of `encode`; None where
        they were cut off."""
        before = len(self.tokens.encode(question, add_special_tokens=False).ids) + 1
        places = self.tokens.encode(text, add_special_tokens=False).offsets
        inside = [i for i, (first, last) in enumerate(places) if first < end and last > begin]
        if not inside or (self.length is not None and before + inside[-1] >= self.length):
            return None
        return before + inside[0], before + inside[-1]

    def answer(self, raw: Any, output: Int[Tensor, "2"]) -> dict[str, Any]:
        """``text``: the answer, in the letters of the text."""
        text, question = self._both(raw)
        before = len(self.tokens.encode(question, add_special_tokens=False).ids) + 1
        places = self.tokens.encode(text, add_special_tokens=False).offsets
        first, last = (place - before for place in output.tolist())
        return {"text": text[places[first][0] : places[last][1]].strip()}

    def words(self, sample: Mapping[str, Tensor], output: Tensor | None = None) -> dict[str, str] | None:
        tokens, places = sample["tokens"], {"meant": sample["target"], "answered": output}
        found = {"given": self.tokens.decode(tokens[sample["kept"]].tolist())}
        for name, place in places.items():
            if place is not None:
                first, last = place.tolist()
                found[name] = self.tokens.decode(tokens[first : last + 1].tolist())
        return found

    def parts(self, source: str | Path, encoding: str | None = None) -> list[tuple[str, Any]]:
        """Texts up to their questions, which end with a question mark; each may stand on several lines."""
        return asked(source, encoding or self.encoding)

    def _both(self, raw: Any) -> tuple[str, str]:
        if isinstance(raw, str):
            found = re.fullmatch(r"(.*[.!\n])\s*(\S[^.!\n]*\?)\s*", raw, re.DOTALL)
            raw = {"text": found[1], "question": found[2]} if found else {}
        if not isinstance(raw, Mapping) or not {"text", "question"} <= set(raw):
            raise BadData("give a text and a question behind it: The cat sat on the mat. Where did the cat sit?")
        return str(raw["text"]), str(raw["question"])


def asked(source: str | Path, encoding: str) -> list[tuple[str, Any]]:
    """Texts up to their questions, which end with a question mark; each may stand on several lines.

    Raises:
        BadData: the last text has none.
    """
    found: list[tuple[str, Any]] = []
    begin, text = 1, []
    for number, line in enumerate(read_lines(source, encoding), 1):
        begin = begin if text else number
        text += [line] if line.strip() else []
        if line.rstrip().endswith("?"):
            whole = "\n".join(text)
            found.append((f"{source}:{begin}" if isinstance(source, Path) else whole, whole))
            text = []
    if text:
        raise BadData(f"the text from line {begin} on has no question behind it: end it with one and its ?")
    return found

"""Stories and questions about them, as numbers of words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from descend.data.codecs.codec import Codec, best_labels
from descend.data.codecs.question import asked
from descend.data.errors import BadData


class StoryCodec(Codec):
    """A story and a question as numbers of words: ``story`` [sentences, words] and ``question`` [words], 0 where there
    is none. Of a longer story the last sentences are read.

    >>> codec.encode("Mary went home. John slept. Where is Mary?")
    >>> codec.encode({"story": "Mary went home. John slept.", "question": "Where is Mary?"})

    Args:
        known: words, in the order of their numbers, from 1.
        labels: the answers.
        sentences: most of a story.
        longest: words of a sentence or question, at most.
    """

    def __init__(self, known: tuple[str, ...], labels: tuple[str, ...], sentences: int, longest: int):
        self.known = known
        self.labels = labels
        self.sentences = sentences
        self.longest = longest
        self._numbers = {word: number for number, word in enumerate(known, 1)}

    @property
    def vocabulary(self) -> int:
        """Words, and nothing."""
        return len(self.known) + 1

    def encode(self, raw: Any) -> dict[str, Tensor]:
        """From a story whose last sentence is the question, or from both by name.

        Raises:
            BadData: the story or the question is missing, or holds words that are not known.
        """
        if isinstance(raw, str):
            whole, mark, behind = raw.strip().rpartition("?")
            *told, question = re.split(r"[.\n]+", whole)
            raw = {"story": told, "question": question} if mark and not behind else {}
        if not isinstance(raw, Mapping) or not {"story", "question"} <= set(raw):
            raise BadData("give a story and a question behind it: Mary went home. John slept. Where is Mary?")
        told = raw["story"]
        sentences = re.split(r"[.\n]+", told) if isinstance(told, str) else told
        story = [cut for cut in map(words_of, sentences) if cut]
        question = words_of(raw["question"])
        strange = sorted({word for part in [*story, question] for word in part} - set(self._numbers))
        if strange or not story or not question:
            why = f"the words {', '.join(strange[:5])} were never learned" if strange else "it is empty"
            raise BadData(f"this story cannot be read: {why}")
        return self.numbers(story, question)

    def numbers(self, story: Sequence[Sequence[str]], question: Sequence[str]) -> dict[str, Tensor]:
        """Of words that are known; the newest sentence comes first."""
        rows = torch.zeros(self.sentences, self.longest, dtype=torch.int64)
        for place, sentence in enumerate(reversed(story[-self.sentences :])):
            numbers = [self._numbers[word] for word in sentence][: self.longest]
            rows[place, : len(numbers)] = torch.tensor(numbers)
        row = torch.zeros(self.longest, dtype=torch.int64)
        own = [self._numbers[word] for word in question][: self.longest]
        row[: len(own)] = torch.tensor(own)
        return {"story": rows, "question": row}

    def decode(self, output: Float[Tensor, "classes"]) -> dict[str, Any]:
        """``label``, its ``confidence``, and the likeliest in ``top``."""
        return best_labels(self.labels or (), output)

    def words(self, sample: Mapping[str, Tensor], output: Tensor | None = None) -> dict[str, str] | None:
        told = [self._told(row) for row in sample["story"].flip(0).tolist() if any(row)]
        found = {"given": f"{'. '.join(told)}. {self._told(sample['question'].tolist())}?"}
        assert self.labels is not None
        found["meant"] = self.labels[int(sample["target"])]
        if output is not None:
            answer = self.decode(output)
            found["answered"] = f"{answer['label']} ({answer['confidence']:.0%})"
        return found

    def _told(self, numbers: Sequence[int]) -> str:
        return " ".join(self.known[number - 1] for number in numbers if number)

    def parts(self, source: str | Path, encoding: str | None = None) -> list[tuple[str, Any]]:
        """Stories up to their questions, which end with a question mark; each may stand on several lines."""
        return asked(source, encoding or "utf-8")


def words_of(text: str) -> list[str]:
    """In small letters, without marks."""
    return re.findall(r"[a-z0-9']+", text.lower())

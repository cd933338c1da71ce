"""How near told texts come to those that were meant, by torchmetrics, in points of 0 … 100."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.text.rouge import rouge_score
from torchmetrics.text import SacreBLEUScore

WORD = re.compile(r"[^\W_]+")
"""Letters and digits of any script."""


class BLEU(SacreBLEUScore):
    """The share of runs of one to four words that the meant text has, too, over all texts (Papineni et al. 2002), as
    sacrebleu's own settings have it: tokenised by "13a", capitals told apart (Post 2018)."""

    def __init__(self) -> None:
        super().__init__(tokenize="13a")

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:  # type: ignore[override]
        super().update(list(preds), [[text] for text in target])

    def compute(self) -> Tensor:
        return 100 * super().compute()


class RougeL(Metric):
    """The longest common subsequence of words: the harmonic mean of its shares of both texts, averaged over texts (Lin
    2004, section 3.1); words in small letters, not stemmed."""

    higher_is_better = True
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, told: Sequence[str], meant: Sequence[str]) -> None:
        # torchmetrics' own words are of English letters alone.
        found = rouge_score(list(told), list(meant), rouge_keys="rougeL", normalizer=str.lower, tokenizer=WORD.findall)
        self.total += float(found["rougeL_fmeasure"]) * len(told)
        self.count += len(told)

    def compute(self) -> Tensor:
        return (100 * self.total / self.count).float()

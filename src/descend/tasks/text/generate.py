"""Telling a text on, token by token: one loop for every network that has a memory of what was told.

Sequences of a batch may begin with prompts of unlike lengths and end at unlike places. Which token is next is said by
an object, `Greedy` or `Sample`, or found by `beams`, which follow several candidates; each number is drawn by a key of
its own, so that a text does not depend on what it is told together with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from descend.functional import keyed
from descend.models.text.memory import Memory


@dataclass(frozen=True)
class Sample:
    """Draws the next token.

    Args:
        temperature: logits are divided by it, > 0; the lower, the surer.
        top_k: only so many of the likeliest (Fan et al. 2018); all if 0.
        top_p: only the likeliest that together have this share (Holtzman et al. 2020), 0 < p ≤ 1.
        repetition: logits of tokens that were told are divided by it where above 0, multiplied where below (Keskar et
            al. 2019, section 4.1); 1 changes nothing.
        seed: keys what is drawn.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 < self.top_p <= 1 or self.top_k < 0 or not self.repetition > 0:
            raise ValueError(
                f"{self}: temperature and repetition are above 0, top_p is in 0 … 1 and not 0, top_k is 0 or more; "
                "for the likeliest token each time take Greedy()"
            )

    def weighed(
        self, logits: Float[Tensor, "batch vocabulary"], told: Bool[Tensor, "batch vocabulary"]
    ) -> Float[Tensor, "batch vocabulary"]:
        """Logits of what may be drawn; the rest is -∞."""
        logits = penalised(logits.float(), told, self.repetition) / self.temperature
        if 0 < self.top_k < logits.shape[1]:
            least = logits.topk(self.top_k).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        if self.top_p < 1:
            values, order = logits.sort(1, descending=True)
            shares = values.softmax(1)
            # Those before it have the share already; the likeliest always stays.
            surplus = (shares.cumsum(1) - shares) >= self.top_p
            logits = logits.masked_fill(surplus.scatter(1, order, surplus), -torch.inf)
        return logits

    def next(
        self,
        logits: Float[Tensor, "batch vocabulary"],
        told: Bool[Tensor, "batch vocabulary"],
        keys: Int[Tensor, "batch"],
        step: int,
    ) -> Int[Tensor, "batch"]:
        chances = self.weighed(logits, told).softmax(1)
        keys = keyed.hashed(keys, self.seed)
        drawn = keyed.uniform(keys, step)[:, None].to(chances.dtype)
        # The first token up to which the chances exceed what was drawn (inverse transform); never one of chance 0.
        sums = chances.cumsum(1)
        return (sums <= drawn * sums[:, -1:]).sum(1).clamp(max=int(logits.shape[1]) - 1)


@dataclass(frozen=True)
class Greedy:
    """Takes the likeliest token each time. Args: repetition: as of `Sample`."""

    repetition: float = 1.0

    def next(
        self,
        logits: Float[Tensor, "batch vocabulary"],
        told: Bool[Tensor, "batch vocabulary"],
        keys: Int[Tensor, "batch"],
        step: int,
    ) -> Int[Tensor, "batch"]:
        return penalised(logits.float(), told, self.repetition).argmax(1)


def penalised(
    logits: Float[Tensor, "batch vocabulary"], told: Bool[Tensor, "batch vocabulary"], by: float
) -> Float[Tensor, "batch vocabulary"]:
    if by == 1:
        return logits
    return torch.where(told, torch.where(logits > 0, logits / by, logits * by), logits)


def generate(
    memory: Memory,
    prompts: list[list[int]],
    most: int,
    how: Sample | Greedy = Greedy(),
    end: int | None = None,
    stop: Callable[[list[int]], bool] | None = None,
    keys: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
    before: int = 0,
) -> Iterator[list[int | None]]:
    """The next token of every text, again and again; None for those that have ended.

    >>> for tokens in generate(model.memory(1, 200), [prompt], 100, Sample(0.8)): …

    Args:
        memory: fresh, of as many rows as there are prompts.
        prompts: their tokens, one or more each.
        most: tokens that are told at most.
        how: which one is next.
        end: the token that ends a text; it is given, and nothing behind it.
        stop: whether a text, by the tokens told so far, has come to its end.
        keys: of what is drawn for each text; their numbers if None.
        before: tokens of these texts that were drawn already, which the next draws are numbered behind.

    Raises:
        ValueError: a prompt is empty.
    """
    if not prompts or not all(prompts):
        raise ValueError("generate: a prompt is empty; give one token at least, as the one that begins a text")
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    tokens = torch.zeros(len(prompts), int(lengths.max()), dtype=torch.int64, device=device)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = torch.tensor(prompt, device=device)
    own = torch.tensor(range(len(prompts)) if keys is None else list(keys), device=device)
    texts: list[list[int]] = [[] for _ in prompts]
    alive = [True] * len(prompts)
    logits = memory.tell(tokens, lengths)
    kept = torch.arange(tokens.shape[1], device=device) < lengths[:, None]
    told = torch.zeros(logits.shape, dtype=torch.int64, device=device).scatter_add(1, tokens, kept.long()) > 0
    for step in range(most):
        chosen = how.next(logits, told, own, before + step)
        told = told.scatter(1, chosen[:, None], True)
        given: list[int | None] = [None] * len(prompts)
        for row, token in enumerate(chosen.tolist()):
            if alive[row]:
                given[row] = token
                texts[row].append(token)
                alive[row] = token != end and not (stop is not None and stop(texts[row]))
        yield given
        if not any(alive) or step == most - 1:
            return
        logits = memory.tell(chosen[:, None])


def beams(
    memory: Memory,
    first: Int[Tensor, "batch"],
    most: Int[Tensor, "batch"],
    width: int,
    end: int,
    penalty: float = 0.6,
    never: Sequence[int] = (),
) -> list[list[int]]:
    """For each text the likeliest continuation found by following ``width`` candidates at a time, by their length's
    measure: log p / ((5 + n)/6)^penalty (Wu et al. 2016, eq. 14).

    Args:
        memory: fresh, of batch · width rows, each text's behind one another.
        first: the token that begins each text.
        most: tokens that are told at most, of each text, so that none hangs on what it is told together with.
        end: the token that ends a text; it is not given.
        penalty: 0 compares sums, 1 nearly means.
        never: tokens that are not told.
    """
    batch, rows = len(first), torch.arange(len(first), device=first.device)
    tokens = first.repeat_interleave(width)
    # At first all candidates of a text are one.
    scores = torch.full((batch, width), -torch.inf, device=first.device)
    scores[:, 0] = 0
    told = torch.zeros(batch, width, 0, dtype=torch.int64, device=first.device)
    ended: list[tuple[float, list[int]]] = [(-torch.inf, [])] * batch
    limits: list[int] = most.tolist()
    for step in range(1, max(limits) + 1):
        chances = memory.tell(tokens[:, None]).float().log_softmax(1).view(batch, width, -1)
        if never:
            chances[:, :, list(never)] = -torch.inf
        vocabulary = chances.shape[2]
        found = (scores[:, :, None] + chances).flatten(1).topk(2 * width)
        before, token = found.indices // vocabulary, found.indices % vocabulary
        measure = ((5 + step) / 6) ** penalty
        for row, place in (token[:, :width] == end).nonzero().tolist():  # an end counts if it is among the best
            score = float(found.values[row, place]) / measure
            if step <= limits[row] and score > ended[row][0]:
                ended[row] = (score, told[row, int(before[row, place])].tolist())
        going = found.values.masked_fill(token == end, -torch.inf).topk(width)
        scores, chosen = going.values, going.indices
        before, token = before.gather(1, chosen), token.gather(1, chosen)
        told = torch.cat([told[rows[:, None], before], token[:, :, None]], 2)
        for row, limit in enumerate(limits):  # none that ended: the best so far, as it stands
            if step == limit and ended[row][0] == -torch.inf:
                ended[row] = (torch.inf, told[row, 0].tolist())
        best = scores[:, 0] / ((5 + most) / 6) ** penalty  # what is to come can only cost
        if all(
            step >= limit or open_ <= score
            for limit, open_, (score, _) in zip(limits, best.tolist(), ended, strict=True)
        ):
            break
        memory.choose((rows[:, None] * width + before).flatten())
        tokens = token.flatten()
    return [text for _, text in ended]

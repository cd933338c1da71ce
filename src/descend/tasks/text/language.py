"""Language: what token comes next, and texts told by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from descend.data import Batch
from descend.data.vocabulary import END
from descend.engine import Descent, Min, Task
from descend.functional import Mean, keyed
from descend.losses import word_cross_entropy
from descend.models.text.recurrent import RecurrentLanguage
from descend.optim import Optimizer
from descend.tasks.text.generate import Greedy, Sample, generate

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Language(Task):
    """Learns p(x_t | x_0 … x_{t-1}) by -log p, averaged over tokens, in nats; answers a text with what comes then.

    >>> task = Language(GPT(data.codec.vocabulary, 128, 4, 4, Rotary(32)), Muon(0.02, schedule=OneCycle()))

    A batch holds ``tokens`` and ``target`` [batch, time], which is one place on; -100 where nothing is to be learned.

    Args:
        model: `GPT`, `RecurrentLanguage`: it gives ``states`` that its ``logits`` read, and has a ``memory``.
        optimizer: how it is moved.
        how: which token is next, in an answer.
        most: tokens of an answer.
        end: the token that ends one.
        window: tokens that the model learned to read at once, beyond which its positions mean nothing to it; as many as
            it has places for if None.
    """

    goal = Min("loss")

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        how: Sample | Greedy = Sample(0.8, top_k=40),
        most: int = 200,
        end: int = END,
        window: int | None = None,
    ):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.how = how
        self.most = most
        self.end = end
        self.window = window
        self.descent = Descent(model, optimizer)

    def forward(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocabulary"]:
        """Logits of the next token at every place."""
        return self.model.logits(self.model.states(tokens))  # type: ignore[operator]

    def loss(self, batch: Batch) -> Mean:
        return self._loss(self.model.states(batch["tokens"]), batch)  # type: ignore[operator]

    def _loss(self, states: Tensor, batch: Batch) -> Mean:
        head = self.model.logits
        return word_cross_entropy(states, batch["target"], head.weight, head.bias, head.cap)  # type: ignore[union-attr, arg-type]

    def predict(self, **inputs: Tensor) -> Int[Tensor, "batch most"]:
        """The tokens that follow; behind an end, ends. Where a text is as long as the window, it is told on by what its
        latter half says."""
        tokens = inputs["tokens"]
        window = self.window or getattr(self.model, "length", None) or tokens.shape[1] + self.most
        texts, told = tokens.tolist(), torch.full((len(tokens), self.most), self.end, device=tokens.device)
        # Of the text itself, so that its answer is the same whatever else is asked.
        keys, done = [keyed.mix(*text) for text in texts], 0
        with torch.no_grad():
            while done < self.most:
                whole = tokens.shape[1] + done
                read = whole if whole < window else max(window // 2, 1)
                prompts = [[*text, *own][-read:] for text, own in zip(texts, told[:, :done].tolist(), strict=True)]
                many = min(self.most - done, max(window - read, 1))
                memory = self.model.memory(len(tokens), read + many)  # type: ignore[operator]
                steps = generate(
                    memory, prompts, many, self.how, self.end, keys=keys, device=tokens.device, before=done
                )
                for place, given in enumerate(steps, done):
                    for row, token in enumerate(given):
                        told[row, place] = self.end if token is None else token
                done += many
                ended = (told[:, :done] == self.end).cumsum(1) > 0
                told[:, :done][ended] = self.end
                if bool(ended.any(1).all()):
                    break
        return told

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from descend.metrics import MeanLoss

        return MetricCollection({"loss": MeanLoss()})

    def evaluate(self, batch: Batch, metrics: MetricCollection) -> None:
        metrics["loss"].update(self.loss(batch))


class CarriedLanguage(Language):
    """`Language` by recurrence whose state goes on from batch to batch, each of which follows the one before in the
    text (`data.Following`): it remembers further than gradients reach (truncated backpropagation; Williams and Peng
    1990). A batch of another size than ``rows``, as an epoch's last, begins without a memory and leaves none.

    Args: as of `Language` but the window, which a state has not, and
        rows: of a batch; of the share of it that a rank has, where there are several.
    """

    def __init__(
        self,
        model: RecurrentLanguage,
        optimizer: Optimizer,
        rows: int,
        how: Sample | Greedy = Sample(0.8, top_k=40),
        most: int = 200,
        end: int = END,
    ):
        super().__init__(model, optimizer, how, most, end)
        self.rows = rows
        for part in range(model.cell.parts):
            self.register_buffer(f"carried{part}", torch.zeros(model.layers, rows, model.width))

    def loss(self, batch: Batch) -> Mean:
        carried = [getattr(self, f"carried{part}") for part in range(self.model.cell.parts)]  # type: ignore[union-attr, arg-type]
        if not self.training:
            return super().loss(batch)
        follows = len(batch["tokens"]) == self.rows
        # Their copies are what gradients look at again, when the state has gone on already.
        before = tuple(part.clone() for part in carried) if follows else None
        states, state = self.model.read(batch["tokens"], before)  # type: ignore[operator]
        for kept, value in zip(carried, state, strict=True):
            kept.copy_(value.detach() if follows else torch.zeros_like(kept))
        (term,) = self._loss(states, batch).terms
        return Mean(term.total, term.count, coupled=True)  # a part of the batch has no state of its own

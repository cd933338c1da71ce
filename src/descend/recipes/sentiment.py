"""Whether a review likes its film."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from torch import nn

from descend.data import ByLength, Splits, TextCodec, datasets
from descend.data.datasets import Texts
from descend.engine import Choice, Experiment, UsageError, recipe
from descend.models import BERT, MeanOfTokens, MostOfTokens, RecurrentEncoder, Soup, TextClassifier
from descend.nn import LSTM, Attention
from descend.optim import EMA, AdamW, ClipNorm, Constant, OneCycle, Optimizer, SharpnessAware, WarmUp
from descend.ship import huggingface, minilm
from descend.tasks import Classify, Sentences


@dataclass(frozen=True)
class Plan:
    """What reads, through which codec, how it is moved and how long."""

    network: Callable[[int, int], nn.Module]
    optimizer: Optimizer
    codec: TextCodec | None = None
    batch: int = 32
    epochs: int = 8


SCRATCH = AdamW(1e-3, weight_decay=0.01, schedule=OneCycle(), clip=ClipNorm(1.0), average=EMA(0.99))
FINE = AdamW(
    7e-5,
    weight_decay=0.01,
    schedule=WarmUp(0.1, Constant()),  # the mean of many places is wanted, not the end of one way
    clip=ClipNorm(1.0),
    rule=SharpnessAware(0.087),
    average=EMA(0.998),
)


def lstm(length: int) -> Plan:
    """Read both ways; the greatest of each number stands for the text."""

    def network(vocabulary: int, classes: int) -> nn.Module:
        encoder = RecurrentEncoder(LSTM(), vocabulary, 128, 256, dropout=0.4)
        return TextClassifier(encoder, 256, classes, MostOfTokens(), 0.5)

    return Plan(network, SCRATCH)


def transformer(length: int) -> Plan:
    """Two blocks; the mean of the tokens stands for the text."""

    def network(vocabulary: int, classes: int) -> nn.Module:
        encoder = BERT(vocabulary, 128, 4, 2, length, dropout=0.3, spread=0.3)
        return TextClassifier(encoder, 128, classes, MeanOfTokens(), 0.5)

    return Plan(network, SCRATCH)


def pretrained(folder: Path, length: int) -> Plan:
    """An encoder of Hugging Face's, which knows its language, behind the tokenizer that it was taught with.

    A few thousand texts move it anywhere near its weights, so four copies are taught and averaged, each over its way
    too; the table of words, of which most do not come, stays as it is. Its dropout is off: the sharpness-aware rule
    keeps it from learning by heart, and does better alone.

    Raises:
        BadData, UsageError: the folder is broken, or holds no encoder.
    """
    known = huggingface.predictor(folder)
    task, codec = known.task, known.codec
    encoder = task.model if isinstance(task, Sentences) else None
    if not isinstance(encoder, BERT) or not isinstance(codec, TextCodec):
        raise UsageError(f"{folder} holds a network that writes; --weights takes one that reads, of the family bert")

    def network(vocabulary: int, classes: int) -> nn.Module:
        encoder.words.requires_grad_(False)
        for module in encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            elif isinstance(module, Attention):
                module.dropout = 0.0
        return Soup(TextClassifier(encoder, encoder.width, classes, MeanOfTokens()), 4)

    read = TextCodec(codec.tokenizer, min(length, encoder.length), marked=True)
    return Plan(network, FINE, read, batch=128, epochs=13)


def english(length: int) -> Plan:
    """From MiniLM's weights."""
    return pretrained(minilm(), length)


@recipe
def sentiment(
    model: Annotated[Callable[[int], Plan], Choice(lstm=lstm, transformer=transformer, minilm=english)] = lstm,
    weights: Path | None = None,
    data: Path | None = None,
    text: str = "text",
    label: str = "label",
    length: int = 64,
    batch: int | None = None,
    epochs: int | None = None,
    encoding: str = "utf-8",
) -> Experiment:
    """Tell good reviews from bad ones, by one sentence each; or texts of any labels.

    These come from a table (.csv, .tsv, .parquet, .jsonl) with the columns --text and --label, or from a folder
    LABEL/*.txt; of each, --length tokens are read.

    descend train sentiment                                  # 0.820 in 105 s, on one core
    descend train sentiment --model transformer              # 0.803 in 77 s
    descend train sentiment --model minilm                   # 0.8995 in 15 min, on two
    descend train sentiment --data letters.csv --label topic
    descend train sentiment --weights bert-large/            # for a GPU: in a folder of Hugging Face's
    """
    plan = model(length) if weights is None else pretrained(weights, length)
    splits = datasets.sst2(plan.codec, length) if data is None else own(data, text, label, plan.codec, length, encoding)
    assert isinstance(splits.train, Texts)
    assert isinstance(splits.codec, TextCodec)
    batch = plan.batch if batch is None else batch
    return Experiment(
        task=Classify(plan.network(splits.codec.vocabulary, splits.classes), plan.optimizer),
        data=splits,
        batch=batch,
        epochs=plan.epochs if epochs is None else epochs,
        shuffle=ByLength(splits.train.lengths, batch),
    )


def own(path: Path, text: str, label: str, codec: TextCodec | None, length: int, encoding: str) -> Splits:
    found = datasets.by_key(datasets.rows(path, text, label, encoding), labels=True)
    return datasets.labelled(found, codec, length, path.stem, encoding, text)

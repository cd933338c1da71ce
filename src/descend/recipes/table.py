"""Any table: a CSV or Parquet file and the column to be predicted."""

from __future__ import annotations

from pathlib import Path

from descend.data import TableCodec, datasets
from descend.engine import EarlyStopping, Experiment, recipe
from descend.models import TableNet
from descend.optim import EMA, AdamW, ClipNorm, WarmUp
from descend.tasks import Classify, Regress


@recipe
def table(
    data: Path,
    target: str,
    hidden: tuple[int, ...] = (128, 128),
    members: int = 8,
    lr: float = 2e-3,
    dropout: float = 0.1,
    batch: int = 256,
    steps: int = 2000,
    patience: int = 10,
    split: int = 0,
    encoding: str = "utf-8",
) -> Experiment:
    """Predict one column of a table from the others: a class or a quantity, as the column says.

    descend train table --data some.csv --target column

    ``split`` keys which rows are for training, validation and test.
    """
    splits = datasets.table(data, target, key=split, encoding=encoding)
    codec = splits.codec
    assert isinstance(codec, TableCodec)
    batch = min(batch, max(16, len(splits.train) // 8))
    optimizer = AdamW(lr, weight_decay=0.01, schedule=WarmUp(0.05), clip=ClipNorm(1.0), average=EMA(0.99))
    out = 1 if codec.labels is None else splits.classes
    network = TableNet(codec.numbers, codec.cardinalities, out, hidden, members, dropout)
    if codec.labels is None:
        task = Regress(network, optimizer, (codec.target_mean,), (codec.target_std,))
    else:
        task = Classify(network, optimizer)
    every = max(25, min(len(splits.train) // batch, 200))
    return Experiment(task, splits, batch=batch, steps=steps, every=every, observers=(EarlyStopping(patience),))

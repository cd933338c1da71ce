"""Questions about small stories: which sentence matters, and which one behind it."""

from __future__ import annotations

from descend.data import StoryCodec, datasets
from descend.engine import Experiment, recipe
from descend.models import MemoryNetwork
from descend.optim import AdamW, ClipNorm, OneCycle
from descend.tasks import Classify


@recipe
def answer(task: int = 1, width: int = 64, hops: int = 3, batch: int = 64, epochs: int = 60) -> Experiment:
    """Answer the questions of one of bAbI's 20 tasks, by a memory that is asked hop by hop.

    descend train answer                     # 1.0 in 91 s, on one core
    descend train answer --task 2            # 0.998 in 71 s
    descend train answer --task 2 --width 256 --hops 6 --epochs 200      # for a GPU
    """
    data = datasets.babi(task)
    codec = data.codec
    assert isinstance(codec, StoryCodec)
    network = MemoryNetwork(codec.vocabulary, data.classes, codec.sentences, width, hops)
    optimizer = AdamW(5e-3, weight_decay=0.0, schedule=OneCycle(), clip=ClipNorm(1.0))
    return Experiment(task=Classify(network, optimizer), data=data, batch=batch, epochs=epochs)

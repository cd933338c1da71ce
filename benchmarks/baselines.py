"""What needs no network, on the splits that the recipes have.

python benchmarks/baselines.py summaries     # ROUGE-L of a description's first sentence, first words, and all of it
python benchmarks/baselines.py sentiment     # a linear model of words and pairs of words
"""

from __future__ import annotations

import argparse
import re

from descend.data import datasets
from descend.data.datasets.texts import SST2, SYNOPSES
from descend.data.reading import read_lines
from descend.metrics import RougeL


def summaries() -> None:
    """Copies of what stands at the beginning."""
    test = datasets.by_key(datasets.rows(SYNOPSES.find(), "text", "summary"))[2]
    ways = {
        "first sentence": lambda text: re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0],
        **{f"first {n} words": lambda text, n=n: " ".join(text.split()[:n]) for n in (6, 8, 10, 12, 16)},
        "all of it": lambda text: text,
    }
    for name, way in ways.items():
        metric = RougeL()
        metric.update([way(text) for text, _ in test], [meant for _, meant in test])
        print(f"{name:16} ROUGE-L {float(metric.compute()):.2f}")


def sentiment() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    parts = {}
    for part in ("train", "dev", "test"):
        lines = [line.rsplit("\t", 1) for line in read_lines(SST2[part].find())]
        parts[part] = [text for text, _ in lines], [label for _, label in lines]
    models = [make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=c)) for c in (1, 4, 16)]
    best = max(models, key=lambda model: model.fit(*parts["train"]).score(*parts["dev"]))
    print(f"words and pairs of words: accuracy {best.score(*parts['test']):.4f} on the test split")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What needs no network.")
    parser.add_argument("which", choices=("summaries", "sentiment"))
    {"summaries": summaries, "sentiment": sentiment}[parser.parse_args().which]()

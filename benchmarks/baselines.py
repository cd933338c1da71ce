"""What needs no network, on the splits that the recipes have; and a linear model of what a network made of them.

python benchmarks/baselines.py summaries     # ROUGE-L of a description's first sentence, first words, and all of it
python benchmarks/baselines.py sentiment     # a linear model of words and pairs of words
python benchmarks/baselines.py pictures      # principal components, a median filter, each pixel by its own mean
python benchmarks/baselines.py probe --run runs/denoising_autoencoder-1     # a linear model of codes and of pixels
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy, pad

from descend.data import Noise, datasets
from descend.data.datasets.texts import SST2, SYNOPSES
from descend.data.reading import read_lines
from descend.engine import load
from descend.metrics import PSNR, RougeL
from descend.tasks import Autoencode


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


def pictures() -> None:
    """Fashion-MNIST: the test pictures' error by principal components of the training pictures, at σ = 0.3 the PSNR of
    noisy ones and of the medians of 3×3, and the nats of binary ones whose pixels know nothing of each other."""
    data = datasets.fashion_pictures()
    train, test = data.train.gather(torch.arange(60_000))["x"], data.test.gather(torch.arange(10_000))["x"]
    rows, asked = train.flatten(1), test.flatten(1)
    mean = rows.mean(0)
    _, directions = torch.linalg.eigh((rows - mean).mT @ (rows - mean))
    for width in (8, 32, 128):
        some = directions[:, -width:]
        error = (asked - mean - (asked - mean) @ some @ some.mT).square().mean()
        print(
            f"{width} principal components: MSE {float(error):.5f}; the mean picture {float(asked.var(0).mean()):.4f}"
        )
    noisy = datasets.damaged(data, Noise(76.5)).test.gather(torch.arange(10_000))
    wide = pad(noisy["x"], (1, 1, 1, 1), mode="replicate").unfold(2, 3, 1).unfold(3, 3, 1)
    for name, found in {"noisy": noisy["x"], "median of 3×3": wide.flatten(4).median(4).values}.items():
        metric = PSNR()
        metric.update(found.clamp(0, 1), noisy["target"])
        print(f"{name}: PSNR {float(metric.compute()):.2f} dB")
    binary = datasets.fashion_pictures(binary=True)
    train, test = binary.train.gather(torch.arange(60_000))["x"], binary.test.gather(torch.arange(10_000))["x"]
    share = train.mean(0).clamp(1e-5, 1 - 1e-5).expand_as(test)
    print(f"each pixel by its own mean: {-float(binary_cross_entropy(share, test, reduction='sum')) / 10_000:.1f} nats")


def probe(run: Path) -> None:
    """Accuracy of a linear model of an autoencoder's codes, and of the pixels: learned from 8,000 pictures, and held
    small as much as is best for 2,000 more."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    task, data = load(run).task, datasets.fashion_pictures()
    assert isinstance(task, Autoencode)
    parts = [part.gather(torch.arange(10_000)) for part in (data.train, data.test)]
    with torch.no_grad():
        ways = {
            "pixels": [part["x"].flatten(1).numpy() for part in parts],
            "codes": [task.code(part["x"]).flatten(1).numpy() for part in parts],
        }
    for name, (train, test) in ways.items():
        models = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=200)) for c in (0.01, 0.1)]
        fitted = [model.fit(train[:8000], parts[0]["target"][:8000]) for model in models]
        best = max(fitted, key=lambda model: model.score(train[8000:], parts[0]["target"][8000:]))
        print(f"{name}: accuracy {best.score(test, parts[1]['target']):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What needs no network.")
    ways = {"summaries": summaries, "sentiment": sentiment, "pictures": pictures}
    parser.add_argument("which", choices=(*ways, "probe"))
    parser.add_argument("--run", type=Path, help="a trained autoencoder's folder, for the probe")
    given = parser.parse_args()
    if given.which == "probe":
        probe(given.run)
    else:
        ways[given.which]()

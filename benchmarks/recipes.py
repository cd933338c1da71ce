"""Measure the recipes: each setting over its seeds, one after the other, by its own command in a fresh process.

    python benchmarks/recipes.py                     # every row; an hour on two cores
    python benchmarks/recipes.py digits fashion-mlp  # some rows
    python benchmarks/recipes.py --write             # only make docs/results.md and the README's table again

Results go to docs/results.json: rows {recipe, setting, data, metric, value, sd, n, seconds, published, source,
command}. The metric is always on the test split, of the model that the validation split chose. A table is split anew by
every seed, and scikit-learn's gradient boosting learns from the same training rows.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descend.data import Tensors, datasets

HOME = Path(__file__).resolve().parent.parent
RESULTS = HOME / "docs" / "results.json"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Row:
    """One figure to measure.

    Attributes:
        name: of the row on this script's command line.
        words: of the ``descend train`` command.
        published: the figure to be held against, and ``source`` where it is from.
        seeds: how many runs.
        write: writes the table or folder that ``--data`` names.
        beside: other metrics to be stated with the figure; those of single classes are always.
    """

    name: str
    words: tuple[str, ...]
    data: str
    metric: str = "accuracy"
    published: str = ""
    source: str = ""
    seeds: int = 5
    write: Callable[[Path], None] | None = None
    beside: tuple[str, ...] = ()


def classic(bunch: Any, target: str) -> Callable[[Path], None]:
    """Writes one of scikit-learn's tables as a CSV."""

    def write(path: Path) -> None:
        names = bunch.get("target_names")
        values = bunch["target"] if names is None else [names[i] for i in bunch["target"]]
        with path.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow([*bunch["feature_names"], target])
            lines.writerows([*row, value] for row, value in zip(bunch["data"].tolist(), values, strict=True))

    return write


def table_rows() -> list[Row]:
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

    def row(name: str, target: str, data: str, write: Callable[[Path], None], metric: str = "accuracy") -> Row:
        words = ("table", "--data", f"{name}.csv", "--target", target)
        return Row(
            f"table-{name}", words, data, metric, source="scikit-learn's gradient boosting, same splits", write=write
        )

    return [
        row("breast-cancer", "diagnosis", "breast cancer, 569 rows", classic(load_breast_cancer(), "diagnosis")),
        row("wine", "grower", "wine, 178 rows", classic(load_wine(), "grower")),
        row(
            "diabetes", "progression", "diabetes, 442 rows", classic(load_diabetes(scaled=False), "progression"), "rmse"
        ),
        row("orders", "late", "generated, 50,000 rows", datasets.write_generated),
    ]


def write_faces(folder: Path) -> None:
    """ORL's faces, a folder a person: the first five pictures of each to learn from, the other five to be asked."""
    with zipfile.ZipFile(_data("orl-faces.zip")) as archive:
        for name in archive.namelist():
            _, person, file = [*name.split("/"), "", ""][:3]
            if file.endswith(".pgm"):
                part = "train" if int(file[:-4]) <= 5 else "test"
                place = folder / part / person / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(archive.read(name))


def write_cells(folder: Path) -> None:
    """BCCD's blood cells, each cut out by its box with a tenth more on every side, in the data set's own parts."""
    from PIL import Image

    root = zipfile.Path(_data("bccd.zip")) / "BCCD"
    for part, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        for boxed in datasets.voc(root, part):
            with boxed.place.open("rb") as file:
                picture = Image.open(io.BytesIO(file.read())).convert("RGB")
            for number, (box, label) in enumerate(zip(boxed.boxes, boxed.labels, strict=True)):
                left, top, right, bottom = box
                wide, high = 0.1 * (right - left), 0.1 * (bottom - top)
                cut = picture.crop((round(left - wide), round(top - high), round(right + wide), round(bottom + high)))
                place = folder / name / label / f"{boxed.place.name[:-4]}-{number}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                cut.save(place)


def _data(name: str) -> Path:
    folder = os.environ.get("DESCEND_DATA")
    if not folder:
        raise SystemExit(f"name the folder that holds {name} in DESCEND_DATA")
    return Path(folder, name)


FASHION = "zalandoresearch/fashion-mnist, table of benchmarks"
ROWS = [
    Row(
        "digits",
        ("digits",),
        "scikit-learn digits",
        published="0.964 ± 0.014",
        source="a plain run of the same network",
    ),
    *table_rows(),
    Row("fashion-mlp", ("fashion",), "Fashion-MNIST", published="0.8833", source=f"{FASHION}: MLP 256-128-100"),
    Row(
        "fashion-lenet",
        ("fashion", "--model", "lenet", "--precision", "float32"),
        "Fashion-MNIST",
        published="0.916",
        source=f"{FASHION}: 2 convolutions, 3 dense, augmented",
    ),
    Row(
        "fashion-resnet",
        ("fashion", "--model", "resnet", "--precision", "bfloat16"),
        "Fashion-MNIST",
        published="0.949",
        source=f"{FASHION}: ResNet-18, augmented",
        seeds=3,
    ),
    Row(
        "cifar10-airbench",
        ("cifar10",),
        "CIFAR-10, JPEG copy",
        published="0.94",
        source="Jordan 2024: the same network on the lossless pictures, 3.3 s on an A100",
        seeds=1,
    ),
    Row(
        "cifar10-resnet",
        ("cifar10", "--model", "resnet"),
        "CIFAR-10, JPEG copy",
        published="0.9125",
        source="He et al. 2016, table 6: ResNet-20 on the lossless pictures, 182 epochs",
        seeds=1,
    ),
    Row(
        "vit-fashion",
        ("vit",),
        "Fashion-MNIST",
        published="0.916",
        source=f"{FASHION}: 2 convolutions, 3 dense, augmented; wanted 0.91 within 15 min",
        seeds=1,
    ),
    Row(
        "vit-fashion-convolutions",
        ("vit", "--stem", "convolutions"),
        "Fashion-MNIST",
        published="0.916",
        source=f"{FASHION}: 2 convolutions, 3 dense, augmented; wanted 0.91 within 15 min",
        seeds=1,
    ),
    Row(
        "vit-cifar10-convolutions",
        ("vit", "--data", "cifar10", "--stem", "convolutions", "--epochs", "9"),
        "CIFAR-10, JPEG copy",
        published="0.80",
        source="Hassani et al. 2021: a compact convolutional transformer, under 30 min on a desktop CPU; wanted 0.75",
        seeds=1,
    ),
    Row(
        "vit-cifar10",
        ("vit", "--data", "cifar10", "--epochs", "9"),
        "CIFAR-10, JPEG copy",
        published="0.80",
        source="Hassani et al. 2021: the same with a convolutional stem; plain patches, to be stated",
        seeds=1,
    ),
    Row(
        "photos-faces",
        (
            "photos",
            "--data",
            "faces",
            "--start",
            "imagenet",
            "--size",
            "96",
            "--batch",
            "16",
            "--epochs",
            "40",
            "--held",
            "0",
        ),
        "ORL faces by person, 5 of each to learn from",
        source="wanted 0.97 in 3 min",
        seeds=5,
        write=write_faces,
    ),
    Row(
        "photos-cells",
        ("photos", "--data", "cells", "--start", "imagenet", "--size", "64", "--epochs", "4"),
        "BCCD blood cells cut out by their boxes",
        source="wanted 0.95 in 3 min",
        seeds=5,
        write=write_cells,
    ),
    Row(
        "detect-dense",
        ("detect",),
        "BCCD blood cells, its own parts",
        metric="map50",
        source="wanted 0.85 in 25 min; the backbone knows ImageNet",
        seeds=1,
    ),
    Row(
        "detect-dense-scratch",
        ("detect", "--start", "scratch", "--epochs", "60"),
        "BCCD blood cells, its own parts",
        metric="map50",
        source="from scratch, to be stated",
        seeds=1,
    ),
    *(
        Row(
            f"detect-detr-{queries}",
            ("detect", "--model", "detr", "--queries", queries),
            "scenes of Fashion-MNIST before photos",
            metric="map50",
            source=f"wanted {wanted} in 40 min",
            seeds=1,
        )
        for queries, wanted in (("learned", "0.50"), ("anchored", "0.75"), ("denoising", "0.75"))
    ),
    Row(
        "segment",
        ("segment",),
        "ISBI 2012 membranes, 24 / 6",
        published="0.9389",
        source="Ronneberger et al. 2015: U-Net, on the contest's own 30 test pictures; wanted 0.92 within 20 min",
        seeds=1,
        beside=("dice",),
    ),
    Row(
        "faces",
        ("faces",),
        "ORL faces, 10 people never seen",
        metric="eer",
        source="equal error rate of all pairs, wanted 0.05 within 5 min",
        seeds=5,
    ),
    Row(
        "denoise",
        ("denoise",),
        "BSD68, noise of σ = 25",
        metric="psnr",
        published="28.57",
        source="BM3D; DnCNN 29.23 from 400 photos: Zhang et al. 2017",
        seeds=1,
    ),
    Row(
        "superres",
        ("superres",),
        "Set5 × 2, luminance",
        metric="psnr",
        published="33.66",
        source="bicubic: Dong et al. 2014; wanted 36.16",
        seeds=1,
    ),
]


def measure(row: Row) -> dict[str, Any]:
    """Run the row's command once a seed and describe what came out."""
    values, seconds, others, found = [], [], [], []
    for seed in range(row.seeds):
        with tempfile.TemporaryDirectory() as folder:
            words = list(row.words)
            if row.write is not None:
                path = Path(folder, words[2])
                row.write(path)
                if words[0] == "table":
                    words = [*words, "--split", str(seed)]
                    others.append(boosted(path, words[4], seed))
            command = [sys.executable, "-m", "descend", "train", *words, "--seed", str(seed), "--out", "run"]
            begin = time.perf_counter()
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
            scores = json.loads(Path(folder, "run", "scores.json").read_text())
            seconds.append(time.perf_counter() - begin)
        values.append(scores["test"][row.metric])
        found.append({name: scores["test"][name] for name in row.beside})
        for name, of_classes in (scores.get("by_class") or {}).items():
            found[-1] |= {f"{name} {label}": value for label, value in of_classes.items()}
        beside = f" (gradient boosting {others[-1]:.4f})" if others else ""
        print(f"{row.name} seed {seed}: {row.metric} {values[-1]:.4f}{beside} in {seconds[-1]:.1f} s", flush=True)
    return {
        "recipe": row.words[0],
        "setting": " ".join(row.words[1:]),
        "data": row.data,
        "metric": f"test {row.metric}",
        "value": round(statistics.mean(values), 4),
        "sd": round(statistics.stdev(values), 4) if len(values) > 1 else None,
        "beside": {name: round(statistics.mean(each[name] for each in found), 4) for name in found[0]},
        "n": len(values),
        "seconds": round(statistics.mean(seconds), 1),
        "published": f"{statistics.mean(others):.4f} ± {statistics.stdev(others):.4f}" if others else row.published,
        "source": row.source,
        "command": " ".join(["descend", "train", *row.words]),
    }


def boosted(path: Path, target: str, seed: int) -> float:
    """What gradient boosting scores on the same split: exact trees on small tables, histograms on large ones."""
    from sklearn import ensemble

    splits = datasets.table(path, target, key=seed)
    quantity = splits.codec.labels is None
    kind = f"{'Hist' if len(splits.train) > 10_000 else ''}GradientBoosting{'Regressor' if quantity else 'Classifier'}"
    model = getattr(ensemble, kind)(random_state=seed).fit(*_arrays(splits.train))
    inputs, truth = _arrays(splits.test)
    found = model.predict(inputs)
    return float(((found - truth) ** 2).mean() ** 0.5 if quantity else (found == truth).mean())


def _arrays(data: Any) -> tuple[Any, Any]:
    import torch

    assert isinstance(data, Tensors)
    inputs = torch.cat([data.tensors["numbers"], data.tensors["categories"].float()], 1)
    return inputs.numpy(), data.tensors["target"].numpy()


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    head = ["recipe", "data", "measured on the test split", "n", "one run", "held against"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        spread = f" ± {row['sd']:.4f}" if row["sd"] is not None else ""
        figure = f"{row['metric'].removeprefix('test ')} **{row['value']:.4f}**{spread}"
        figure += "".join(f", {name} {value:.4f}" for name, value in row["beside"].items())
        against = f"{row['published']} ({row['source']})"
        cells = [f"`{row['command']}`", row["data"], figure, str(row["n"]), f"{row['seconds']:.0f} s", against]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def documents(rows: list[dict[str, Any]], readme: str) -> tuple[str, str]:
    """docs/results.md, and the README with its table made anew."""
    about = """# Results

Generated from `results.json` by `python benchmarks/recipes.py --write`. Each value is the mean over n seeds ± one
standard deviation, on the test split, of the model that the validation split chose, or of the last where nothing was
held out for that; the time is the whole command's (imports, loading, training, scoring, report) on two CPU cores.

"""
    before, rest = readme.split(BEGIN)
    return about + table(rows) + "\n", f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the recipes.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(row.name for row in ROWS))
    parser.add_argument("--write", action="store_true", help="only generate the tables from what was measured")
    given = parser.parse_args()
    unknown = set(given.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}; there are {', '.join(row.name for row in ROWS)}")
    measured = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for row in [] if given.write else [row for row in ROWS if row.name in given.rows or not given.rows]:
        found = measure(row)
        measured = [old for old in measured if old["command"] != found["command"]] + [found]
        order = [" ".join(["descend", "train", *each.words]) for each in ROWS]
        measured.sort(key=lambda one: order.index(one["command"]))
        RESULTS.write_text(json.dumps(measured, indent=1) + "\n")
    results, readme = documents(measured, (HOME / "README.md").read_text())
    (HOME / "docs" / "results.md").write_text(results)
    (HOME / "README.md").write_text(readme)


if __name__ == "__main__":
    main()

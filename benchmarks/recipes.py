"""Measure the recipes: each setting over its seeds, one after the other, by its own command in a fresh process.

    python benchmarks/recipes.py                     # every row; an hour on two cores
    python benchmarks/recipes.py digits fashion-mlp  # some rows
    python benchmarks/recipes.py --write             # only make docs/results.md and the README's table again

Results go to docs/results.json: rows {recipe, setting, data, metric, value, sd, n, seconds, published, source,
command}. The metric is always on the test split, of the model that the validation split chose.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
RESULTS = HOME / "docs" / "results.json"
TABLE = ("<!-- results -->", "<!-- end of results -->")


@dataclass(frozen=True)
class Row:
    """One figure to measure.

    Attributes:
        name: of the row on this script's command line.
        words: of the ``descend train`` command.
        published: the figure to be held against, and ``source`` where it is from.
    """

    name: str
    words: tuple[str, ...]
    data: str
    metric: str
    published: str
    source: str
    seeds: int = 5

    @property
    def recipe(self) -> str:
        return self.words[0]

    @property
    def setting(self) -> str:
        return " ".join(self.words[1:]) or "as written"


BENCHMARK_README = "zalandoresearch/fashion-mnist, README, table of benchmarks"
ROWS = [
    Row(
        "digits", ("digits",), "scikit-learn digits, 80/10/10 by key", "accuracy", "0.964 ± 0.014", "a plain run, issue"
    ),
    Row("fashion-mlp", ("fashion",), "Fashion-MNIST", "accuracy", "0.8833", BENCHMARK_README + " (MLP 256-128-100)"),
    Row(
        "fashion-lenet",
        ("fashion", "--model", "lenet"),
        "Fashion-MNIST",
        "accuracy",
        "0.916",
        BENCHMARK_README + " (2 convolutions + pooling)",
    ),
    Row("fashion-resnet", ("fashion", "--model", "resnet20"), "Fashion-MNIST", "accuracy", "0.935", "issue", seeds=3),
]


def measure(row: Row) -> dict:
    """Run the row's command once a seed and describe what came out."""
    values, seconds = [], []
    for seed in range(row.seeds):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "descend",
                "train",
                *row.words,
                "--seed",
                str(seed),
                "--out",
                f"{folder}/run",
            ]
            subprocess.run(command, check=True, cwd=HOME, stdout=subprocess.DEVNULL)
            scores = json.loads(Path(folder, "run", "scores.json").read_text())
        values.append(scores["test"][row.metric])
        seconds.append(scores["seconds"]["total"])
        print(f"{row.name} seed {seed}: {row.metric} {values[-1]:.4f} in {seconds[-1]:.1f} s", flush=True)
    return {
        "recipe": row.recipe,
        "setting": row.setting,
        "data": row.data,
        "metric": f"test {row.metric}",
        "value": round(statistics.mean(values), 4),
        "sd": round(statistics.stdev(values), 4) if len(values) > 1 else None,
        "n": len(values),
        "seconds": round(statistics.mean(seconds), 1),
        "published": row.published,
        "source": row.source,
        "command": " ".join(["descend", "train", *row.words]),
    }


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table."""
    head = ["recipe", "data", "measured on the test split", "n", "time, 2 cores", "held against", "command"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        spread = f" ± {row['sd']:.4f}" if row["sd"] is not None else ""
        figure = f"{row['metric'].removeprefix('test ')} **{row['value']:.4f}**{spread}"
        lines.append(
            f"| {row['recipe']} | {row['data']} | {figure} | {row['n']} | {row['seconds']:.0f} s "
            f"| {row['published']} ({row['source']}) | `{row['command']}` |"
        )
    return "\n".join(lines)


def write(rows: list[dict]) -> None:
    """Generate docs/results.md and the table in the README from the rows."""
    about = """# Results

Generated from `results.json` by `python benchmarks/recipes.py --write`. Each value is the mean over n seeds ± one
standard deviation, on the test split, of the model that the validation split chose; the time is one run's, loading and
scoring included, on two CPU cores.

"""
    (HOME / "docs" / "results.md").write_text(about + table(rows) + "\n")
    readme = HOME / "README.md"
    text = readme.read_text()
    before, rest = text.split(TABLE[0])
    after = rest.split(TABLE[1])[1]
    readme.write_text(f"{before}{TABLE[0]}\n{table(rows)}\n{TABLE[1]}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the recipes.")
    parser.add_argument("rows", nargs="*", choices=[[], *[row.name for row in ROWS]])
    parser.add_argument("--write", action="store_true", help="only generate the tables from what was measured")
    given = parser.parse_args()
    measured = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for row in [] if given.write else [row for row in ROWS if row.name in given.rows or not given.rows]:
        found = measure(row)
        measured = [old for old in measured if old["command"] != found["command"]] + [found]
        RESULTS.write_text(json.dumps(measured, indent=1) + "\n")
    write(measured)


if __name__ == "__main__":
    main()

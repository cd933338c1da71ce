"""Measure the recipes: each setting over its seeds, one after the other, by its own command in a fresh process.

    python benchmarks/recipes.py                     # every row; an hour on two cores
    python benchmarks/recipes.py digits fashion-mlp  # some rows
    python benchmarks/recipes.py --write             # only make docs/results.md and the README's table again

Results go to docs/results.json: rows {recipe, setting, data, metric, value, sd, n, seconds, published, source,
command}. The metric is always on the test split, of the model that the validation split chose. Tables, and people by
their faces, are split anew by every seed; scikit-learn's gradient boosting learns from the same training rows. What
judges samples, and what a row needs before it, is trained once, with seed 0, for all rows and seeds that name it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rows import ROWS, Row

from descend.data import Tensors, datasets

HOME = Path(__file__).resolve().parent.parent
RESULTS = HOME / "docs" / "results.json"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def measure(row: Row, others: Path) -> dict[str, Any]:
    """Run the row's command once a seed and describe what came out.

    Args: others: folder that the runs of what judges, and of what goes before, are kept in.
    """
    by = run_of(row.judge, others) if row.judge else None
    given = [word for option, before in row.before for word in (option, str(run_of(before, others)))]
    values, seconds, boosts, found = [], [], [], []
    for seed in range(row.seeds):
        with tempfile.TemporaryDirectory() as folder:
            words = list(row.words)
            if row.write is not None:
                path = Path(folder, words[2])
                row.write(path)
                if words[0] == "table":
                    boosts.append(boosted(path, words[4], seed))
            if row.split:
                words = [*words, "--split", str(seed)]
            begin = time.perf_counter()
            _descend(Path(folder), "train", *words, *given, "--seed", str(seed), "--out", "run")
            seconds.append(time.perf_counter() - begin)
            scores = json.loads(Path(folder, "run", "scores.json").read_text())
            test = scores["test"]
            if by is not None:
                test = json.loads(_descend(Path(folder), "evaluate", "run", "--judge", str(by), "--json"))
        values.append(test[row.metric])
        found.append({name: test[name] for name in row.beside})
        for name, of_classes in (scores.get("by_class") or {}).items():
            found[-1] |= {f"{name} {label}": value for label, value in of_classes.items()}
        beside = f" (gradient boosting {boosts[-1]:.4f})" if boosts else ""
        print(f"{row.name} seed {seed}: {row.metric} {values[-1]:.4f}{beside} in {seconds[-1]:.1f} s", flush=True)
    return {
        "recipe": row.words[0],
        "setting": " ".join(row.words[1:]),
        "data": row.data,
        "metric": f"test {'judged ' if row.judge else ''}{row.metric}",
        "value": round(statistics.mean(values), 4),
        "sd": round(statistics.stdev(values), 4) if len(values) > 1 else None,
        "beside": {name: round(statistics.mean(each[name] for each in found), 4) for name in found[0]},
        "n": len(values),
        "seconds": round(statistics.mean(seconds), 1),
        "published": f"{statistics.mean(boosts):.4f} ± {statistics.stdev(boosts):.4f}" if boosts else row.published,
        "source": row.source,
        "command": command(row),
    }


def command(row: Row) -> str:
    """As a person types it: the runs that go before are named by what they are of."""
    given = [word for option, before in row.before for word in (option, f"runs/{before[0]}-1")]
    return " ".join(["descend", "train", *row.words, *given])


def run_of(words: tuple[str, ...], folder: Path) -> Path:
    """The run that these words make, made where it has not been yet."""
    run = folder / "-".join(word.replace("/", "_") for word in words)
    if not (run / "scores.json").exists():
        _descend(folder, "train", *words, "--out", str(run))
    return run


def _descend(folder: Path, *words: str) -> str:
    """What the command says, run in a folder."""
    command = [sys.executable, "-m", "descend", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


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
held out for that; the time is the whole command's (imports, loading, training, scoring, report) on two CPU cores,
or on one of them.

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
    with tempfile.TemporaryDirectory(prefix="descend-others-") as others:
        for row in [] if given.write else [row for row in ROWS if row.name in given.rows or not given.rows]:
            found = measure(row, Path(others))
            measured = [old for old in measured if old["command"] != found["command"]] + [found]
            order = [command(each) for each in ROWS]
            measured.sort(key=lambda one: order.index(one["command"]))
            RESULTS.write_text(json.dumps(measured, indent=1) + "\n")
    results, readme = documents(measured, (HOME / "README.md").read_text())
    (HOME / "docs" / "results.md").write_text(results)
    (HOME / "README.md").write_text(readme)


if __name__ == "__main__":
    main()

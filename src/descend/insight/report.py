"""A run on one page: one HTML file made of the run folder's own files, readable offline, on a phone, in the dark.

run.json       what was run
metrics.jsonl  the curves
scores.json    what was reached; missing where the run has not ended
sheet.png      examples and answers; missing where there is nothing to see
looks.json     examples in words, who asked whom, how far gradients reach; missing where there is nothing of it
samples/       of a network that makes pictures: what it made after so many steps
ways/          of one that makes them of noise: what lies between two samples, how one comes to be, what its numbers say
judged.json    what a judge said of them, with samples.png and nearest.png; missing where none was asked
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from descend.insight.again import command, plain
from descend.insight.charts import Curve, bar, chart, heat, shares
from descend.insight.diagnosis import Line, confused, diagnose, interval, series
from descend.insight.judge import beside_real
from descend.insight.ways import WAYS

LARGEST = 40
"""Classes of the largest confusion matrix that is drawn; of a larger one the worst mistakes are listed."""


def report(folder: str | Path, ended: str = "") -> Path:
    """Write ``report.html`` into a run's folder and return its path.

    A run that is unfinished, diverged, or has no validation split is reported as far as its files go.

    Args:
        folder: of the run.
        ended: what cut the run short, in words.

    Raises:
        ValueError: the folder holds no run.
    """
    folder = Path(folder)
    run = _json(folder / "run.json")
    if not run:
        raise ValueError(f"{folder} holds no run: there is no run.json that can be read in it")
    page = _page(folder, run, _lines(folder / "metrics.jsonl"), _json(folder / "scores.json"), ended)
    path, unfinished = folder / "report.html", folder / ".report.html.unfinished"
    unfinished.write_text(page, encoding="utf-8")
    os.replace(unfinished, path)
    return path


def _page(folder: Path, run: Mapping[str, Any], lines: Sequence[Line], scores: Mapping[str, Any], ended: str) -> str:
    recipe = run.get("recipe") or {}
    name = str(recipe.get("name") or "run")
    looks = _json(folder / "looks.json")
    findings = diagnose(lines, scores, run, ended)
    ways = ((shown, folder / "ways" / f"{name}.png") for name, shown in WAYS.items())
    sections = [
        _section("Diagnosis", f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in findings)}</ul>"),
        _section("Curves", f'<div class="charts">{_charts(lines, scores)}</div>' if lines else ""),
        _section("Scores", _scores(scores)),
        _section("Samples over the run", _figures(_frames(folder / "samples"))),
        _section("Ways", _figures(ways)),
        _section("Judged", _judged(folder)),
        _section("Examples of the test split", _sheet(folder / "sheet.png") + _examples(looks.get("examples", []))),
        _section("Which words were asked for each word", _asked(looks.get("attention"))),
        _section("How far gradients reach", _reach(looks.get("reach"))),
        _section("By class on the test split", _by_class(scores)),
        _section("Confusion on the test split", _confusion(scores)),
        _section("Where the time went", _time(scores)),
        _section("How it was made", _made(run, folder)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(name)} · {escape(folder.name)}</title><style>{STYLE}</style>\n<main>"
        f"<header><p class=path>{escape(folder.name)}</p><h1>{escape(name)}</h1>"
        f"{_headline(run, lines, scores)}</header>\n" + "\n".join(sections) + "\n</main></html>\n"
    )


def _headline(run: Mapping[str, Any], lines: Sequence[Line], scores: Mapping[str, Any]) -> str:
    """The score and its certainty, and a few facts beside it."""
    cards = []
    metric = (scores.get("goal") or {}).get("metric")
    split = next((s for s in ("test", "valid") if metric in (scores.get(s) or {})), None)
    if split:
        value, n = scores[split][metric], (run.get("data") or {}).get(split)
        under = f"{metric} on the {split} split"
        if metric == "accuracy" and isinstance(n, int) and n > 0 and 0 <= value <= 1:
            low, high = interval(value, n)
            under += f"; 95 % interval {low:.3f} to {high:.3f} from {n:,} samples"
        cards.append((f"{value:.4g}", under))
    else:
        step = lines[-1].get("step", 0) if lines else 0
        cards.append((f"step {step:,}", f"of {run.get('steps') or '?'}; not scored yet"))
    seconds = scores.get("seconds") or {}
    if seconds.get("total"):
        rate = scores.get("samples_per_s")
        cards.append((_duration(seconds["total"]), f"{rate:,.0f} samples/s" if rate else "in all"))
    if scores.get("limit"):
        cards.append((f"{scores['limit']['share']:.0%}", f"of this machine's limit, {scores['limit']['of']}"))
    if scores.get("parameters"):
        cards.append((f"{scores['parameters']:,}", "parameters"))
    return (
        '<div class="cards">'
        + "".join(f"<div><strong>{escape(big)}</strong><span>{escape(small)}</span></div>" for big, small in cards)
        + "</div>"
    )


def _charts(lines: Sequence[Line], scores: Mapping[str, Any]) -> str:
    metric = (scores.get("goal") or {}).get("metric")
    best = (scores.get("best") or {}).get("step")
    names = dict.fromkeys(name for line in lines for name in line)
    # An unfinished run has no scores.json, so its goal is not known: everything measured is shown.
    watched = [metric] if metric else [name[6:] for name in names if name.startswith("valid/")]
    drawn = [
        chart(
            "Loss",
            [Curve("train", series(lines, "train/loss"), 1), Curve("validation", series(lines, "valid/loss"), 2, best)],
        )
    ]
    drawn += [
        chart(
            name.capitalize(),
            [
                Curve("train", series(lines, f"train/{name}"), 1),
                Curve("validation", series(lines, f"valid/{name}"), 2, best),
            ],
        )
        for name in watched
        if name != "loss"
    ]
    parts = [name for name in names if name.startswith("train/") and name[6:] not in ("loss", *watched)]
    drawn += [chart(name, [Curve(name, series(lines, name), 1)]) for name in parts]
    rates = [name for name in names if name == "lr" or name.startswith("lr/")]
    drawn.append(chart("Learning rate", [Curve(name, series(lines, name), i) for i, name in enumerate(rates, 1)]))
    drawn.append(chart("Samples per second", [Curve("samples/s", series(lines, "samples_per_s"), 1)]))
    return "".join(drawn)


def _scores(scores: Mapping[str, Any]) -> str:
    splits = [split for split in ("valid", "test") if scores.get(split)]
    if not splits:
        return ""
    names = dict.fromkeys(name for split in splits for name in scores[split])
    goal = scores.get("goal") or {}
    titles = {"valid": "validation", "test": "test"}
    head = "".join(f"<th scope=col>{titles[split]}</th>" for split in splits)
    rows = []
    for name in names:
        cells = "".join(f"<td>{_figure(scores[split].get(name))}</td>" for split in splits)
        better = {"max": " <small>higher is better</small>", "min": " <small>lower is better</small>"}
        note = better.get(goal.get("mode", ""), "") if name == goal.get("metric") else ""
        rows.append(f"<tr><th scope=row>{escape(name)}{note}</th>{cells}</tr>")
    best = scores.get("best") or {}
    kept = (
        (
            f"<p>The kept model is that of step {best['step']:,}, the best on the validation split; the test split was "
            "looked at once, after that.</p>"
        )
        if "valid" in splits and best.get("step")
        else ""
    )
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide">{table}</div>{kept}'


def _by_class(scores: Mapping[str, Any]) -> str:
    tables = scores.get("by_class") or {}
    names = list(next(iter(tables.values()), {}))
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    rows = [
        f"<tr><th scope=row>{escape(metric)}</th>{''.join(f'<td>{values[name]:.4g}</td>' for name in names)}</tr>"
        for metric, values in tables.items()
    ]
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide">{table}</div>' if rows else ""


def _confusion(scores: Mapping[str, Any]) -> str:
    matrix = scores.get("confusion")
    if not matrix:
        return ""
    names = [str(name) for name in scores.get("classes") or range(len(matrix))]
    if len(names) != len(matrix):
        names = [str(i) for i in range(len(matrix))]
    worst = "; ".join(f"{a} taken for {b} ({n:g} times)" for a, b, n in confused(matrix, names)) or "none"
    drawn = "<p>Rows are the truth, columns the answer.</p>" + heat(matrix, names) if len(matrix) <= LARGEST else ""
    return f"{drawn}<p>Most frequent mistakes: {escape(worst)}.</p>"


def _time(scores: Mapping[str, Any]) -> str:
    seconds = dict(scores.get("seconds") or {})
    total = seconds.pop("total", None)
    if not total:
        return ""
    return f"<p>{_duration(total)} in all.</p>" + bar(seconds, "s")


def _made(run: Mapping[str, Any], folder: Path) -> str:
    recipe, compute, data = run.get("recipe") or {}, dict(run.get("compute") or {}), run.get("data") or {}
    notes = compute.pop("notes", [])
    arguments = {name: plain(value) for name, value in (recipe.get("arguments") or {}).items()}
    splits = [f"{split} {data[split]:,}" for split in ("train", "valid", "test") if split in data]
    rows = {
        "recipe": recipe.get("source"),
        **arguments,
        "seed": recipe.get("seed", run.get("seed")),
        "steps": run.get("steps"),
        "batch": run.get("batch"),
        "data": ", ".join([str(data.get("name", "?")), *splits]),
        "fingerprint": data.get("fingerprint"),
        "compute": ", ".join(f"{name} {value}" for name, value in compute.items() if value is not None),
        **({"notes": "; ".join(map(str, notes))} if notes else {}),
        "versions": ", ".join(f"{name} {value}" for name, value in (run.get("versions") or {}).items()),
        "commit": run.get("commit"),
    }
    body = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(_shown(value))}</td></tr>"
        for name, value in rows.items()
        if value is not None
    )
    again = f"<p>To do it again:</p><pre>{escape(command(run))}</pre>" if recipe else ""
    return f'<div class="wide"><table class="facts">{body}</table></div>{again}'


def _shown(value: Any) -> str:
    return " ".join(map(_shown, value)) if isinstance(value, list) else str(value)


def _figure(value: Any) -> str:
    return escape(f"{value:.4g}" if isinstance(value, int | float) else "–" if value is None else str(value))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _sheet(path: Path, shown: str = "examples and what was answered") -> str:
    """The picture itself, so that the page needs nothing beside it."""
    if not path.is_file():
        return ""
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<img class="sheet" alt="{escape(shown)}" src="data:image/png;base64,{content}">'


def _figures(found: Iterable[tuple[str, Path]]) -> str:
    """Pictures that are there, each with what it shows."""
    drawn = [(escape(shown), _sheet(path, shown)) for shown, path in found]
    return "".join(f"<figure><figcaption>{shown}</figcaption>{sheet}</figure>" for shown, sheet in drawn if sheet)


def _frames(folder: Path) -> list[tuple[str, Path]]:
    """The same samples as they were after so many steps, from the first to the last."""
    frames = sorted((int(path.stem), path) for path in folder.glob("[0-9]*.png") if path.stem.isdecimal())
    return [(f"step {step:,}", path) for step, path in frames]


def _judged(folder: Path) -> str:
    """What a judge said, each figure beside that of real pictures in the samples' place."""
    found = _json(folder / "judged.json")
    if not found:
        return ""
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{_figure(made)}</td><td>{_figure(true)}</td></tr>"
        for name, (made, true) in beside_real(found).items()
    )
    head = "<thead><tr><th></th><th scope=col>samples</th><th scope=col>real pictures</th></tr></thead>"
    by_class = ", ".join(f"{label} {value:.3f}" for label, value in found.get("by_class", {}).items())
    chance = (
        f" Retrieval: how often the caption that was asked for comes first (or among the first ten) of "
        f"{found['candidates']}; by chance {found['chance']:.3f} ({found['chance10']:.3f})."
        if "chance" in found
        else ""
    )
    return (
        f'<div class="wide"><table>{head}<tbody>{rows}</tbody></table></div>'
        f"<p><small>{found['count']:,} of each, in the features of {escape(str(found['judge']))}: comparable with this "
        f"judge and this count alone. Nearest: the distance to the nearest training picture.{chance}</small></p>"
        + (f"<p>Accuracy by class: {escape(by_class)}.</p>" if by_class else "")
        + _sheet(folder / "samples.png", "samples")
        + "<p>Samples, each beside the training pictures nearest to it:</p>"
        + _sheet(folder / "nearest.png", "samples and the nearest training pictures")
    )


def _examples(told: Sequence[Mapping[str, str]]) -> str:
    """Texts, one example a row."""
    names = dict.fromkeys(name for one in told for name in one)
    head = "".join(f"<th scope=col>{name}</th>" for name in names)
    cells = ["".join(f"<td>{escape(one.get(name) or '')}</td>" for name in names) for one in told]
    rows = "".join(f"<tr>{row}</tr>" for row in cells)
    table = f'<table class="told"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="wide">{table}</div>' if told else ""


def _asked(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    note = "<p><small>A row is a word that was told; the darker, the more it asked the word above.</small></p>"
    return shares(found["shares"], found["told"], found["read"]) + note


def _reach(found: Sequence[float] | None) -> str:
    if not found:
        return ""
    points = [(float(step), length) for step, length in enumerate(found, 1)]
    drawn = chart("Gradient of the loss by what was read", [Curve("length", points, 1)], "step of the row")
    first, last = (sum(part) / len(part) for part in (found[: len(found) // 4], found[-len(found) // 4 :]))
    share = first / last if last else 0.0
    note = f"The first quarter of a row teaches {share:.2g} times as much as the last."
    return f'<div class="charts">{drawn}</div><p><small>{note}</small></p>'


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inside}</section>" if inside else ""


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lines(path: Path) -> list[Line]:
    """The log; the line that was being written when a process was killed is left out."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            read = json.loads(line)
        except ValueError:
            continue
        if isinstance(read, dict) and isinstance(read.get("step"), int):
            found.append(read)
    return found


STYLE = (Path(__file__).parent / "report.css").read_text("utf-8")

"""``descend evaluate`` and ``descend predict``: what a trained network is worth, and what it answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from descend.cli.arguments import Place, parse
from descend.cli.sample import Solver, lead
from descend.cli.train import description_of, folder_of
from descend.cli.wrong import Wrong

if TYPE_CHECKING:
    from descend.data import Codec, Splits, Stream
    from descend.engine import Predictor

TABLES = {".csv", ".tsv", ".parquet", ".pq", ".jsonl"}
"""Files that hold one example a row."""
LONGEST = 200
"""Letters of one thing in a line for a person."""
JUDGED = 2000
"""Samples that a judge is shown."""
TOGETHER = 256
"""Examples that go through the network at once."""


@dataclass(frozen=True)
class Evaluating:
    run: Place[Path]
    """Folder of the run."""
    split: Literal["test", "valid", "train"] = "test"
    """Which part of the run's data."""
    judge: Path | None = None
    """Folder of a run that tells pictures apart, or for runs that captions ask, one that matches pictures and captions:
    what it says of samples, in place of the run's own scores."""
    n: int | None = None
    """Samples for the judge; 2000, or as many as there are test pictures, where not given."""
    solver: Solver | None = None
    """How noise becomes a picture, of diffusion; as the run has it where not given, as the two that follow."""
    steps: int | None = None
    """Of the solver."""
    guidance: float | None = None
    """How far it is led towards what is asked for; 1 leads it there, more beyond."""
    json: bool = False
    """Print JSON, for machines."""


def evaluate(words: Sequence[str]) -> None:
    """Score the kept model of a run on a split of its data."""
    form = parse(Evaluating, words, "descend evaluate", "Score the kept model of a run on a split of its data.")
    if form.judge is None and form.n is not None:
        raise Wrong("--n says how many samples are judged: name the judge, --judge RUN")
    for name in ("solver", "steps", "guidance"):
        if form.judge is None and getattr(form, name) is not None:
            raise Wrong(f"--{name} says how samples are made that are judged: name the judge, --judge RUN")
    if form.judge is not None and form.split != "test":
        raise Wrong(f"a judge holds samples against training and test pictures: leave --split {form.split} out")
    folder = folder_of(form.run)
    by = None if form.judge is None else folder_of(form.judge)
    written = description_of(folder).get("recipe")
    if not written:
        raise Wrong(
            f"the run in {folder} was not made by a recipe, so its data are not known here: "
            f"descend.load({str(folder)!r}).evaluate(data)"
        )
    from descend.engine import Predictor, weights
    from descend.engine.recipe import rebuild

    experiment, _ = rebuild(written)
    experiment.task.load_state_dict(weights(folder))
    predictor = Predictor(experiment.task, experiment.codec)
    if by is not None:
        lead(predictor.task, form.solver, form.steps, form.guidance)
        _judged(folder, predictor, by, experiment.data, form.n, form.json)
        return
    data = getattr(experiment.data, form.split, None)
    if data is None:
        raise Wrong(f"the data of {folder} have no {form.split} split")
    found = predictor.evaluate(data)
    if form.json:
        print(json.dumps({"split": form.split, "samples": found.samples, "scores": found.scores, **found.tables}))
        return
    print(f"{form.split} split, {found.samples:,} samples, {found.seconds:.2f} s")
    width = max(map(len, found.scores))
    for name, value in found.scores.items():
        print(f"  {name:{width}}  {value:.4f}")


def _judged(folder: Path, predictor: Predictor, by: Path, data: Splits | Stream, n: int | None, as_json: bool) -> None:
    """What a judge says of a run's samples, printed and kept in the run's folder."""
    from descend.data import Splits
    from descend.engine.checkpoint import replace_text
    from descend.insight import judge, matched, report
    from descend.insight.judge import beside_real
    from descend.ship import load
    from descend.tasks import Match

    if not isinstance(data, Splits):
        raise Wrong(f"the data of {folder} are a stream, without the test split that samples are held against")
    count = min(JUDGED, len(data.test), len(data.train)) if n is None else n
    other = load(by)
    judging = matched if isinstance(other.task, Match) else judge
    found = {"judge": str(by), **judging(predictor, other, data, count, folder=folder)}
    replace_text(folder / "judged.json", json.dumps(found, indent=1) + "\n")
    report(folder)
    if as_json:
        print(json.dumps(found))
        return
    print(f"{count:,} samples judged by {by}; in the samples' place, real test pictures")
    for name, (made, real) in beside_real(found).items():
        print(f"  {name:11}  {'–' if made is None else f'{made:.4f}':>9}  {real:9.4f}")
    if "chance" in found:
        print(f"  of {found['candidates']} captions; by chance {found['chance']:.4f}, and {found['chance10']:.4f}")
    for label, value in found.get("by_class", {}).items():
        print(f"  accuracy {label}  {value:.4f}")
    print(f"{folder / 'samples.png'} shows samples, {folder / 'nearest.png'} what was learned that is nearest to them")


@dataclass(frozen=True)
class Predicting:
    run: Place[Path]
    """Folder of the run, or of a model."""
    files: Place[Annotated[tuple[str, ...], tyro.conf.arg(name="file")]]
    """Pictures, texts, or tables (.csv, .tsv, .parquet, .jsonl) with one example a row; or a text itself."""
    encoding: str | None = None
    """Of files of text; as the run's own where not given."""
    json: bool = False
    """Print one JSON object a line, for machines."""
    out: Path | None = None
    """Folder that pictures among the answers are written to."""


def predict(words: Sequence[str]) -> None:
    """One answer a line for every file, or every row of a table."""
    about = "Answer for pictures, texts, or the rows of a table; one answer a line."
    form = parse(Predicting, words, "descend predict", about)
    if not form.files:
        raise Wrong(f"name what to answer for: descend predict {form.run} FILE")
    folder = folder_of(form.run)
    from descend.ship import load

    predictor = load(folder)
    reads = predictor.codec is not None and predictor.codec.parts("") is not None
    missing = next((word for word in form.files if not _is_file(word) and not (reads and _is_text(word))), None)
    if missing is not None:
        raise Wrong(f"there is no file {missing}")
    examples = (one for word in form.files for one in _examples(word, predictor.codec, form.encoding))
    while part := list(islice(examples, TOGETHER)):
        for name, answer in _answered(predictor, part):
            if form.out is not None and "png" in answer:
                answer["png"] = _written(answer["png"], form.out / f"{Path(name).stem}.png")
            line = json.dumps({"input": name, **answer}) if form.json else f"{_short(name)}: {_said(answer)}"
            print(line, flush=True)


def _answered(predictor: Predictor, part: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The answers, all at once; where one example cannot be read, one by one up to that, which is named."""
    from descend.data import BadData

    try:
        yield from zip([name for name, _ in part], predictor.predict([raw for _, raw in part]), strict=True)
        return
    except BadData:
        pass
    for name, raw in part:
        try:
            (answer,) = predictor.predict([raw])
        except BadData as error:
            raise error if name in str(error) else BadData(f"{name}: {error}") from None
        yield name, answer


def _examples(word: str, codec: Codec | None, encoding: str | None) -> Iterator[tuple[str, Any]]:
    """(name, raw example) of a file: itself, its rows, or its texts; or of a text."""
    file = Path(word)
    bare = file.with_suffix("") if file.suffix == ".gz" else file
    kind = bare.suffix.lower()
    if not _is_file(word) or kind not in TABLES:
        parts = None if codec is None else codec.parts(file if _is_file(word) else word, encoding)
        yield from [(word, file)] if parts is None else parts
        return
    from descend.data.datasets.rows import objects
    from descend.data.datasets.table import read_table

    encoding = encoding or str(getattr(codec, "encoding", "utf-8"))
    if kind == ".jsonl":
        yield from ((f"{file}:{number}", row) for number, row in objects(file, encoding))
        return
    columns = read_table(file, encoding)
    # The header of a text is line 1, so that the number is the line an editor shows.
    first = 1 if kind in (".parquet", ".pq") else 2
    for number, row in enumerate(zip(*columns.values(), strict=True), first):
        yield f"{file}:{number}", dict(zip(columns, row, strict=True))


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # a long text is no name that a system would look up
        return False


def _is_text(word: str) -> bool:
    """What is no file may be a text, unless it was meant for one."""
    return any(letter.isspace() for letter in word) or not Path(word).suffix


def _written(content: str, path: Path) -> str:
    """Where a picture lies now that came as base64."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(base64.b64decode(content))
    except FileExistsError:
        raise Wrong(f"{path} is there already: name another folder, --out FOLDER") from None
    return str(path)


def _said(answer: Mapping[str, Any]) -> str:
    if "label" in answer and "confidence" in answer:
        return f"{answer['label']} ({answer['confidence']:.1%})"
    if "text" in answer:
        return answer["text"]
    if "boxes" in answer:
        return "; ".join(map(_boxed, answer["boxes"])) or "nothing found"
    return ", ".join(f"{name} {_short(value)}" for name, value in answer.items())


def _boxed(found: Mapping[str, Any]) -> str:
    return f"{found['label']} ({found['confidence']:.1%}) at {', '.join(f'{edge:g}' for edge in found['box'])}"


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:20]}… ({len(text):,} letters)"

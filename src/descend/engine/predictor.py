"""A trained network travels whole: task and codec in one folder that rebuilds itself.

model.json           the task and the codec as plain data, the scores, the hash of the weights
model.safetensors    the weights; tied tensors are stored once
README.md            the card a person reads
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from descend.data import Batch, Codec, Data
from descend.engine.checkpoint import digest, sync, write_text
from descend.engine.config import build, describe
from descend.engine.evaluate import Evaluation, evaluate
from descend.engine.task import Task

FORMAT = 1


class ModelError(ValueError):
    """A model folder cannot be used; the message says which file and why."""


class Predictor:
    """A task and the codec that feeds it: raw example in, readable answer out.

    >>> predictor = load("runs/digits-1")
    >>> predictor.predict("seven.png")
    {'label': '7', 'confidence': 0.98, …}

    Args:
        task: with its learned weights.
        codec: turns one raw example into the task's inputs, and outputs into an answer; None if there is none.
    """

    def __init__(self, task: Task, codec: Codec | None = None):
        self.task = task
        self.codec = codec

    def predict(self, raw: Any) -> Any:
        """The answer to one raw example, or the answers to a list of them.

        Raises:
            ValueError: the predictor has no codec, or an example cannot be read (`BadData`).
        """
        if self.codec is None:
            raise ValueError("this predictor has no codec, so it takes tensors: predictor.task.predict(x=…)")
        examples = raw if isinstance(raw, list) else [raw]
        encoded = [self.codec.encode(example) for example in examples]
        # What is of unlike sizes goes through the network one by one.
        alike = len({tuple((name, tensor.shape) for name, tensor in one.items()) for one in encoded}) == 1
        answers = []
        for part in [encoded] if alike else [[one] for one in encoded]:
            outputs = self.outputs(**{name: torch.stack([one[name] for one in part]) for name in part[0]})
            own = examples[len(answers) : len(answers) + len(part)]
            answers += [self.codec.answer(example, _row(outputs, i)) for i, example in enumerate(own)]
        return answers if isinstance(raw, list) else answers[0]

    def outputs(self, **inputs: Tensor) -> Any:
        """What the task predicts for a batch of encoded examples, in evaluation mode."""
        training = self.task.training
        self.task.eval()
        try:
            device = next((p.device for p in self.task.parameters()), torch.device("cpu"))
            return self.task.predict(**Batch(inputs).to(device))
        finally:
            self.task.train(training)

    def evaluate(self, data: Data, batch: int | None = None) -> Evaluation:
        """The task's own metrics on data, by as many samples at a time as `engine.evaluate` takes."""
        return evaluate(self.task, data, batch)

    def save(self, folder: str | Path, scores: Mapping[str, float] | None = None) -> Path:
        """Write the folder; what was there under this name is replaced only when the new one is whole."""
        folder = Path(folder)
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        extra: dict[str, Tensor] = {}
        plain = {"task": describe(self.task, extra), "codec": describe(self.codec, extra)}
        tensors, tied = _once({**self.task.state_dict(), **extra})
        save_file(tensors, unfinished / "model.safetensors")
        sync(unfinished / "model.safetensors")
        from descend import __version__

        content = {
            "format": FORMAT,
            "descend": __version__,
            **plain,
            "tied": tied,
            "sha256": digest(unfinished / "model.safetensors"),
            "scores": dict(scores or {}),
        }
        write_text(unfinished / "model.json", json.dumps(content, indent=1) + "\n")
        write_text(unfinished / "README.md", self._card(scores or {}))
        if folder.exists():
            old = folder.with_name(f".{folder.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
            unfinished.rename(folder)
            shutil.rmtree(old)
        else:
            unfinished.rename(folder)
        return folder

    def _card(self, scores: Mapping[str, float]) -> str:
        from descend import __version__

        parameters = sum(p.numel() for p in self.task.parameters())
        lines = [
            f"# {type(self.task).__name__}",
            "",
            f"A network of {parameters:,} parameters, trained with descend {__version__}.",
            "",
            *(f"- {name}: {value:.4g} (validation)" for name, value in scores.items()),
            "",
            "```python",
            "import descend",
            'predictor = descend.load("path/of/this/folder")',
            "answer = predictor.predict(example)",
            "```",
        ]
        return "\n".join(lines) + "\n"


def load(folder: str | Path, classes: Mapping[str, type] | None = None) -> Predictor:
    """Rebuild a predictor from a model folder, or from the run folder around it.

    Nothing that the folder brings is executed: classes are descend's own, or those handed over in ``classes``.

    Raises:
        ModelError: a file is missing, torn, changed, of a newer format, or does not fit.
    """
    folder, content, tensors = _read(Path(folder))
    try:
        task, codec = (build(content[part], tensors, classes) for part in ("task", "codec"))
        if not isinstance(task, Task) or not isinstance(codec, Codec | None):
            raise ValueError(f"a Task and a Codec were expected, not {type(task).__name__}, {type(codec).__name__}")
        task.load_state_dict(_state(tensors))
    except (ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder} cannot be loaded: {error}") from None
    return Predictor(task.eval(), codec)


def weights(folder: str | Path) -> dict[str, Tensor]:
    """The state of the task in a model folder, checked as `load` checks it, for a task that is at hand already."""
    return _state(_read(Path(folder))[2])


def _read(folder: Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    """The folder itself, model.json, and all tensors by name, tied ones too."""
    if not (folder / "model.json").exists() and (folder / "model" / "model.json").exists():
        folder = folder / "model"
    path, stored = folder / "model.json", folder / "model.safetensors"
    if not path.exists():
        raise ModelError(f"{folder} holds no model: there is no model.json in it, nor in {folder / 'model'}")
    try:
        content = json.loads(path.read_text("utf-8"))
        known = content["format"] <= FORMAT
        sha256, tied, _, _ = (content[key] for key in ("sha256", "tied", "task", "codec"))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a model description ({type(error).__name__}: {error})") from None
    if not known:
        raise ModelError(f"{path} has format {content['format']}; this descend reads up to {FORMAT}: update descend")
    if not stored.is_file():
        raise ModelError(f"{stored} is missing")
    if digest(stored) != sha256:
        raise ModelError(f"{stored} was changed: its SHA-256 is not the one in model.json")
    try:
        tensors = load_file(stored)
        tensors.update({name: tensors[source] for name, source in tied.items()})
    except (SafetensorError, KeyError, AttributeError) as error:
        raise ModelError(f"{stored} cannot be read: {error}") from None
    return folder, content, tensors


def _state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("argument ")}


def _once(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor once, contiguous, and the names of those that are another one under a second name."""
    stored: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    first: dict[tuple, str] = {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and key in first:
            tied[name] = first[key]
        else:
            first[key] = name
            stored[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return stored, tied


def _row(outputs: Any, i: int) -> Any:
    if isinstance(outputs, Mapping):
        return {name: _row(value, i) for name, value in outputs.items()}
    if isinstance(outputs, Sequence) and not isinstance(outputs, Tensor):
        return type(outputs)(_row(value, i) for value in outputs) if isinstance(outputs, tuple) else outputs[i]
    return outputs[i]

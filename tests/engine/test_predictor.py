"""A trained network travels whole, and nothing in its folder is executed."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from descend.data import Codec
from descend.engine import ModelError, Predictor, Task, arguments, build, describe, load
from descend.engine.config import public_name
from descend.losses import huber
from descend.models import MLP
from descend.nn import GELU, ReLU
from descend.optim import EMA, AdamW, ClipNorm, Cosine, WarmUp
from descend.tasks import Classify, Regress
from tests.engine.pages import Line, network


def _task():
    optimizer = AdamW(1e-3, schedule=WarmUp(0.1, Cosine()), clip=ClipNorm(1.0), average=EMA(0.99))
    return Classify(MLP(64, 32, 16, out=10, activation=GELU(), dropout=0.1), optimizer, label_smoothing=0.1)


class Echo(Codec):
    """The user's own codec."""

    def __init__(self, size: int):
        self.size = size

    def encode(self, raw):
        return {"x": torch.full((self.size,), float(raw))}

    def decode(self, output):
        return {"best": int(output.argmax())}


def test_a_task_travels_whole(tmp_path):
    task = _task().eval()
    folder = Predictor(task).save(tmp_path / "model", scores={"accuracy": 0.5})
    other = load(folder)
    x = torch.randn(5, 64)
    assert torch.equal(task.predict(x=x), other.task.predict(x=x))
    assert repr(other.task) == repr(task)
    assert other.task.optimizer == task.optimizer
    assert other.task.descent.state_dict() == {}
    assert "0.5" in (folder / "README.md").read_text()


class Words(Codec):
    """As many numbers as a word has letters."""

    def encode(self, raw):
        return {"x": torch.tensor([float(ord(letter)) for letter in raw])}

    def decode(self, output):
        return output.tolist()


class Lengths(Task):
    def __init__(self):
        super().__init__()
        self.seen = []

    def predict(self, x):
        self.seen.append(tuple(x.shape))
        return x.mean(1)


def test_examples_of_unlike_shapes_go_through_one_by_one():
    predictor = Predictor(Lengths(), Words())
    assert predictor.predict(["abc", "c", "aa"]) == [98, 99, 97]
    assert predictor.predict(["ab", "bb"]) == [97.5, 98]
    assert predictor.predict("bc") == 98.5
    assert predictor.predict([]) == []
    assert predictor.task.seen == [(1, 3), (1, 1), (1, 2), (2, 2), (1, 2)]


@pytest.mark.slow
def test_it_loads_in_a_fresh_process(tmp_path):
    task = _task().eval()
    folder = Predictor(task).save(tmp_path / "model")
    program = f"import descend, torch; print(descend.load({str(folder)!r}).task.predict(x=torch.ones(1, 64)).tolist())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == task.predict(x=torch.ones(1, 64)).tolist()


def test_functions_and_several_targets(tmp_path):
    task = Regress(MLP(6, 8, out=2), AdamW(1e-3), mean=(1.0, 2.0), std=(3.0, 4.0), criterion=huber).eval()
    other = load(Predictor(task).save(tmp_path / "model")).task
    assert other.criterion is huber
    x = torch.randn(3, 6)
    assert torch.equal(task.predict(x=x), other.predict(x=x))


def test_predictions_are_answers(tmp_path):
    predictor = Predictor(_task().eval(), Echo(64))
    assert set(predictor.predict(1)) == {"best"}
    answers = predictor.predict([1, 2, 3])
    assert len(answers) == 3
    assert answers[0] == predictor.predict(1)
    assert predictor.predict([]) == []


def test_the_users_own_class_is_passed_by_name(tmp_path):
    folder = Predictor(_task().eval(), Echo(64)).save(tmp_path / "model")
    with pytest.raises(ModelError, match=r"classes=\{'Echo': Echo\}"):
        load(folder)
    assert load(folder, classes={"Echo": Echo}).codec.size == 64


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "descend.engine.Run",
        "descend.nn.nn",
        "descend.data.datasets.os",
        "torch.nn.Linear",
        "descend.engine.config.importlib",
    ],
)
def test_a_foreign_class_is_never_called(tmp_path, name):
    folder = Predictor(_task()).save(tmp_path / "model")
    content = json.loads((folder / "model.json").read_text())
    content["codec"] = {"class": name, "arguments": {}, "id": 9}
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="not one of descend's own"):
        load(folder)


def test_shared_modules_stay_shared_and_tied_tensors_are_stored_once(tmp_path):
    class Twice(Task):
        def __init__(self, first: nn.Module, second: nn.Module):
            super().__init__()
            self.first = first
            self.second = second

        def forward(self, x):
            return self.second(self.first(x))

    shared = MLP(4, 8, out=4)
    folder = Predictor(Twice(shared, shared)).save(tmp_path / "model")
    other = load(folder, classes={"Twice": Twice}).task
    assert other.first is other.second
    content = json.loads((folder / "model.json").read_text())
    assert len(content["tied"]) == len(list(shared.state_dict()))


def test_a_constructor_that_forgets_its_argument_is_named():
    with pytest.raises(TypeError, match=r"Sequential.*stores its arguments"):
        describe(Line(network(), AdamW(1e-3)))


def test_arguments_come_back_verbatim():
    model = MLP(4, 8, 6, out=3)
    assert arguments(model)["hidden"] == (8, 6)
    value = {"a": (1, 2.5, [None, True]), "inf": float("inf"), "t": torch.ones(2)}
    tensors = {}
    back = build(json.loads(json.dumps(describe(value, tensors))), tensors)
    assert back["a"] == value["a"]
    assert back["inf"] == float("inf")
    assert torch.equal(back["t"], torch.ones(2))
    assert public_name(ReLU) == "descend.nn.ReLU"


def test_changed_and_missing_files_are_named(tmp_path):
    folder = Predictor(_task()).save(tmp_path / "model")
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(ModelError, match=r"model\.safetensors was changed"):
        load(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        load(folder)
    path.write_bytes(whole)
    content = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(ModelError, match="update descend"):
        load(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(ModelError, match="not a model description"):
        load(folder)
    with pytest.raises(ModelError, match="holds no model"):
        load(tmp_path / "elsewhere")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    folder = Predictor(_task()).save(tmp_path / "model")
    content = json.loads((folder / "model.json").read_text())
    content["task"]["arguments"]["model"]["arguments"]["hidden"] = {"tuple": [5]}
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(folder)


def test_saving_twice_replaces_whole(tmp_path):
    first, second = _task().eval(), _task().eval()
    folder = Predictor(first).save(tmp_path / "model")
    Predictor(second).save(folder)
    x = torch.randn(2, 64)
    assert torch.equal(load(folder).task.predict(x=x), second.predict(x=x))
    assert [p.name for p in tmp_path.iterdir()] == ["model"]

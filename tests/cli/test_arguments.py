"""A signature is a form: types, defaults, choices; every typo in one line."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from descend.cli.arguments import order
from descend.cli.train import Options
from descend.cli.wrong import Wrong
from descend.engine import find_recipe
from descend.optim import SGD, AdamW

PAGE = find_recipe(Path(__file__).parent / "page.py")


def read(*words):
    return order(PAGE, Options, words, "descend train page.py")


def test_defaults_are_the_signatures():
    told = read()
    assert told.arguments == {
        "hidden": (16,),
        "lr": 1e-2,
        "epochs": 3,
        "dropout": 0.0,
        "optimizer": AdamW,
        "size": "small",
        "note": None,
        "wide": False,
    }
    assert told.run == Options()


def test_arguments_and_options_are_read_together():
    told = read(
        "--hidden",
        "3",
        "4",
        "--seed",
        "7",
        "--lr=3e-4",
        "--optimizer",
        "sgd",
        "--wide",
        "--note",
        "a/b",
        "--out",
        "runs/x",
        "--size",
        "large",
        "--compile",
        "off",
        "--precision",
        "bfloat16",
    )
    assert told.arguments == {
        "hidden": (3, 4),
        "lr": 3e-4,
        "epochs": 3,
        "dropout": 0.0,
        "optimizer": SGD,
        "size": "large",
        "note": Path("a/b"),
        "wide": True,
    }
    assert told.run == Options(seed=7, out=Path("runs/x"), compile="off", precision="bfloat16")


def test_values_may_be_empty_negative_or_none():
    assert read("--hidden", "--lr", "-0.5", "--note", "None").arguments | {} == {
        **read().arguments,
        "hidden": (),
        "lr": -0.5,
        "note": None,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epoch", "3"], "takes no --epoch: did you mean '--epochs'?"),
        (["--learning-rate", "3"], "takes no --learning-rate"),
        (["--sed", "3"], "takes no --sed: did you mean '--seed'?"),
        (["-lr", "3"], "takes no -lr: did you mean '--lr'?"),
        (["--optimizer", "adam"], "--optimizer 'adam' is not a choice: did you mean 'adamw'?; there are adamw, sgd"),
        (["--optimizer=sdg"], "--optimizer 'sdg' is not a choice: did you mean 'sgd'?"),
        (["--size", "larg"], "--size 'larg' is not a choice: did you mean 'large'?"),
        (["--precision", "float8"], "--precision 'float8' is not a choice"),
        (["--lr", "fast"], "--lr: could not convert string to float: 'fast'"),
        (["--hidden", "3", "x"], "--hidden"),
        (["--epochs", "1.5"], "--epochs"),
        (["--lr"], "Missing value for argument '--lr'"),
        (["fashion"], "does not take the word(s) fashion"),
    ],
)
def test_typos(words, message):
    with pytest.raises(Wrong) as caught:
        read(*words)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "│" not in str(caught.value)


def test_help_shows_both_kinds_and_leaves(capsys):
    with pytest.raises(SystemExit) as end:
        read("--help")
    assert not end.value.code
    said = capsys.readouterr().out
    assert "Read digits with one small hidden layer." in said
    assert "<only>" in said
    for option in ("--hidden", "--optimizer {adamw,sgd}", "--wide, --no-wide", "--seed", "--ranks"):
        assert option in said


@dataclass(frozen=True)
class Few:
    epochs: int = 99
    seed: int = 0


def test_a_recipes_own_argument_takes_the_place_of_a_runs():
    told = order(PAGE, Few, ["--epochs", "5"], "x")
    assert told.arguments["epochs"] == 5
    assert told.run == Few()

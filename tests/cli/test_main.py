"""The border: verbs, exit codes, one line for what went wrong, no torch before it is needed."""

import os
import pty
import subprocess
import sys

import pytest

from descend.cli.main import VERBS, code_of, main
from descend.cli.wrong import Wrong, nearest
from descend.data import BadData
from descend.engine import CheckpointError, Diverged, Interrupted, ModelError, UsageError, VerificationFailed


def command(*words: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "descend", *words], capture_output=True, text=True, env={**os.environ, **env}, timeout=60
    )


def test_help_lists_every_verb(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  descend {verb} " in said for verb in VERBS)
    assert main([]) == 0
    assert capsys.readouterr().out == said


def test_version(capsys):
    import descend

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"descend {descend.__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["list"], ["show", "digits"], ["trian", "x"], ["show", "digts"]])
def test_torch_is_not_imported_for(words):
    code = f"import sys; from descend.cli.main import main; main({words}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_a_wrong_verb_is_answered_with_the_nearest():
    done = command("trian", "digits")
    assert done.returncode == 2
    assert done.stderr == "descend: there is no verb 'trian': did you mean 'train'?; `descend --help` lists them\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Wrong("x"), 2),
        (Wrong("x", 1), 1),
        (UsageError("x"), 2),
        (BadData("x"), 3),
        (CheckpointError("x"), 3),
        (ModelError("x"), 3),
        (Diverged("x"), 4),
        (VerificationFailed("x"), 5),
        (Interrupted(143, 5), 143),
        (Interrupted(75, 5), 75),
        (Interrupted(130, 5), 130),
        (RuntimeError("x"), 1),
        (ValueError("not ours"), 1),
        (OSError("x"), 1),
    ],
)
def test_exit_codes(error, code):
    assert code_of(error) == code


@pytest.fixture
def broken(monkeypatch):
    """A verb that raises what the test puts into it."""
    raised: list[BaseException] = []

    def verb(_words):
        raise raised[0]

    monkeypatch.setitem(VERBS, "list", ("tests.cli.test_main", "broken_verb", "", ""))
    monkeypatch.setattr(sys.modules[__name__], "broken_verb", verb, raising=False)
    return raised


def test_what_is_raised_on_purpose_is_one_line(broken, capsys):
    broken.append(BadData("column 'age' holds NaN in row 7\n  fill it   first"))
    assert main(["list"]) == 3
    assert capsys.readouterr().err == "descend: column 'age' holds NaN in row 7; fill it first\n"


def test_an_accident_is_named_with_its_place(broken, capsys):
    broken.append(KeyError("weights"))
    assert main(["list"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("descend: KeyError: 'weights' (test_main.py, line ")
    assert said.count("\n") == 1


def test_an_os_error_names_its_file(broken, capsys):
    broken.append(PermissionError(13, "Permission denied", "/x/run.json"))
    assert main(["list"]) == 1
    assert capsys.readouterr().err == "descend: Permission denied: /x/run.json\n"


def test_debug_shows_the_traceback(broken, capsys, monkeypatch):
    monkeypatch.setenv("DESCEND_DEBUG", "1")
    broken.append(BadData("x"))
    assert main(["list"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_before_a_run_is_quiet(broken, capsys):
    broken.append(KeyboardInterrupt())
    assert main(["list"]) == 130
    assert capsys.readouterr().err == ""


def test_a_reader_that_has_seen_enough_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "descend", "show", "digits"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_colour_on_a_terminal_where_it_is_not_wanted(env, coloured):
    main_end, terminal = pty.openpty()
    without = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    subprocess.run(
        [sys.executable, "-m", "descend", "list", "--help"],
        stdout=terminal,
        env={**without, "TERM": "xterm", **env},
        timeout=60,
        check=True,
    )
    said = os.read(main_end, 100_000).decode()
    os.close(main_end)
    os.close(terminal)
    assert "--json" in said
    assert ("\x1b[" in said) == coloured


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("digts", ["digits", "photos"], ": did you mean 'digits'?"),
        ("--batch_sise", ["--batch-size"], ": did you mean '--batch-size'?"),
        ("LENET", ["lenet"], ": did you mean 'lenet'?"),
        ("zzz", ["digits"], ""),
        ("x", [], ""),
    ],
)
def test_nearest(word, known, expected):
    assert nearest(word, known) == expected

"""From words to a verb, from an exception to an exit code.

    0 done; 1 failed; 2 wrong usage; 3 bad data; 4 diverged; 5 a verification failed; 75 pre-empted; 130, 143 signals

This module imports neither torch nor a recipe: ``descend --help`` answers at once. What goes wrong is said in one line
on standard error; ``DESCEND_DEBUG=1`` shows the whole traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from descend.cli.ranks import RANK
from descend.cli.wrong import Wrong, nearest

VERBS = {
    "list": ("descend.cli.pages", "list_", "", "the recipes, a line each"),
    "show": ("descend.cli.pages", "show", "RECIPE", "print a recipe's page"),
    "new": ("descend.cli.pages", "new", "RECIPE FILE.py", "copy a page, to make it yours"),
    "train": ("descend.cli.train", "train", "RECIPE [--arg value]", "train; the folder of the run keeps everything"),
    "resume": ("descend.cli.train", "resume", "RUN", "go on where a run was stopped"),
    "evaluate": ("descend.cli.use", "evaluate", "RUN", "score the best model on the test split"),
    "predict": ("descend.cli.use", "predict", "RUN FILE…", "answer for pictures, texts, or the rows of a table"),
    "sample": ("descend.cli.sample", "sample", "RUN", "make new pictures"),
    "bench": (
        "descend.cli.bench",
        "bench",
        "[RECIPE]",
        "measure this machine, and how near to its limits a recipe comes",
    ),
    "verify": ("descend.cli.verify", "verify", "resume|invariance RECIPE", "prove a promise by running it"),
}
"""Verb: where it lives, its function, what follows it, what it does."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        code = _run(words)
        sys.stdout.flush()
        if RANK in os.environ:
            # A rank's work is done; torn down in the usual order, gloo's threads can abort the process (code 134).
            sys.stderr.flush()
            os._exit(code)
        return code
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("DESCEND_DEBUG"):
            traceback.print_exc()
        else:
            print(f"descend: {_told(error)}", file=sys.stderr)
        return code_of(error)


def code_of(error: BaseException) -> int:
    """The exit code of what went wrong. What a room defines can only have been raised once the room is imported."""
    if isinstance(error, Wrong):
        return error.code
    if "descend.engine" in sys.modules:
        from descend import engine
        from descend.data import BadData

        if isinstance(error, engine.Interrupted):
            return error.code
        codes = {
            engine.UsageError: 2,
            BadData: 3,
            engine.CheckpointError: 3,
            engine.ModelError: 3,
            engine.Diverged: 4,
            engine.VerificationFailed: 5,
        }
        for kind, code in codes.items():
            if isinstance(error, kind):
                return code
    # By the house's rule a ValueError raised in descend tells the user what to change; elsewhere it is an accident.
    return 2 if isinstance(error, ValueError) and _raised_in(error).startswith("descend.") else 1


def usage() -> str:
    width = max(len(f"{verb} {after}") for verb, (_, _, after, _) in VERBS.items())
    lines = [f"  descend {f'{verb} {after}':{width}}  {what}" for verb, (_, _, after, what) in VERBS.items()]
    return "\n".join(
        [
            "All of deep learning on one small engine.",
            "",
            *lines,
            "",
            "descend VERB --help tells more; descend train RECIPE --help lists the recipe's own arguments.",
        ]
    )


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if words[0] in ("-V", "--version"):
        from descend import __version__

        print(f"descend {__version__}")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        raise Wrong(f"there is no verb {verb!r}{nearest(verb, VERBS)}; `descend --help` lists them")
    module, function, _, _ = VERBS[verb]
    return getattr(importlib.import_module(module), function)(rest) or 0


def _told(error: Exception) -> str:
    """One line. What was raised on purpose speaks for itself; an accident is named, with its place."""
    text = "; ".join(" ".join(line.split()) for line in str(error).splitlines() if line.strip())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    meant = isinstance(error, ValueError | RuntimeError | ImportError) and _raised_in(error).startswith("descend.")
    if text and (meant or type(error).__module__.startswith("descend.")):
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(frame.filename)}, line {frame.lineno}"
    return f"{type(error).__name__}: {text} ({where}); DESCEND_DEBUG=1 shows the way there"


def _raised_in(error: BaseException) -> str:
    """The name of the module whose code raised it."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return "" if step is None else step.tb_frame.f_globals.get("__name__", "")

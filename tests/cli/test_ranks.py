"""Ranks are started together, signalled together and ended together. Real processes, that play the command."""

import os
import signal
import sys
import threading
import time

import pytest

from descend.cli import ranks


@pytest.fixture
def play(tmp_path, monkeypatch):
    """What each process does, as shell; it gets the words after ``python -m descend``."""

    def write(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/bash\nshift 2\ncd {tmp_path}\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    monkeypatch.setattr(ranks, "_GRACE", 0.3)
    return write


def test_every_rank_is_told_its_number_and_the_words(play, tmp_path):
    play('echo "$DESCEND_RANKS $DESCEND_RENDEZVOUS $*" > $DESCEND_RANK')
    assert ranks.launch(["train", "digits"], 3) == 0
    said = [(tmp_path / str(rank)).read_text() for rank in range(3)]
    assert said[0] == said[1] == said[2]
    assert said[0].startswith("3 file:///")
    assert said[0].endswith("/meeting train digits\n")


def test_when_one_fails_the_rest_is_killed_and_its_code_and_words_are_kept(play, capfd):
    play('[ $DESCEND_RANK = 1 ] && { echo "descend: it broke" >&2; exit 4; }; sleep 60')
    begin = time.monotonic()
    assert ranks.launch([], 3) == 4
    assert time.monotonic() - begin < 5
    assert capfd.readouterr().err == "descend: it broke\n"


def test_the_first_failure_counts_not_the_kill_that_follows(play):
    play("[ $DESCEND_RANK = 0 ] && exit 3; sleep 0.2; exit 1")
    assert ranks.launch([], 2) == 3


def test_a_rank_that_dies_by_a_signal_is_named(play, capfd):
    play("[ $DESCEND_RANK = 1 ] && kill -KILL $$; sleep 60")
    assert ranks.launch([], 2) == 128 + signal.SIGKILL
    assert "rank 1 of 2 was ended by SIGKILL" in capfd.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 75)])
def test_signals_reach_every_rank_once(play, tmp_path, number, code):
    play(
        f'trap "echo x >> got.$DESCEND_RANK; exit {code}" {signal.Signals(number).name}; touch up.$DESCEND_RANK; '
        "for i in $(seq 600); do sleep 0.05; done"
    )

    def send() -> None:
        while not all((tmp_path / f"up.{rank}").exists() for rank in range(2)):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    threading.Thread(target=send).start()
    assert ranks.launch([], 2) == code
    assert [(tmp_path / f"got.{rank}").read_text() for rank in range(2)] == ["x\n", "x\n"]
    assert signal.getsignal(number) is before


def test_only_rank_0_speaks(play, capfd):
    play('echo "out $DESCEND_RANK"; echo "err $DESCEND_RANK" >&2')
    assert ranks.launch([], 2) == 0
    said = capfd.readouterr()
    assert (said.out, said.err) == ("out 0\n", "err 0\n")

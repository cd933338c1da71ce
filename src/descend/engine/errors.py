"""What ends a run, and the code its process exits with."""

from collections.abc import Callable


class Stop(Exception):
    """Raised by an observer to end training here: the run is finished, its checkpoint committed, its model scored."""


class UsageError(ValueError):
    """The user asked for what cannot be done; the message says what can. Exit code 2."""


class Diverged(RuntimeError):
    """A loss became NaN or infinite. Exit code 4.

    Attributes:
        rerun: computes the same loss on the same batch again, so that the first bad module can be found.
    """

    def __init__(self, message: str, rerun: Callable[[], object] | None = None):
        super().__init__(message)
        self.rerun = rerun


class VerificationFailed(RuntimeError):
    """A promise did not hold. Exit code 5."""


class Interrupted(Exception):
    """A signal asked the run to stop; the step was finished and a checkpoint committed.

    Attributes:
        code: the exit code: 130 (SIGINT, Ctrl-C), 143 (SIGTERM), 75 (SIGUSR1, a scheduler's warning of pre-emption).
    """

    def __init__(self, code: int, step: int):
        super().__init__(f"interrupted after step {step}; the checkpoint is committed, `descend resume` goes on")
        self.code = code
        self.step = step

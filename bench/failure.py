"""The three kinds of failure: of a trial (a row like any other), of the machine, and of the caller."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing it loads the database, which --help does not need
    from results.records import TrialStatus

_SEEN = 60  # characters of a wrong value that a message repeats


class TrialFailure(Exception):
    """A trial that ended without its measurement."""

    def __init__(self, status: "TrialStatus", reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


class _OneLine(Exception):
    """An error whose text is one printable line, whatever a file, a name or a library has put into it."""

    def __str__(self) -> str:
        text = super().__str__()
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class UsageError(_OneLine):
    """A caller's mistake: one line that says what was wrong, what was seen and what to do. Exit code 2."""


class InfrastructureError(_OneLine):
    """A failure of the machine during a trial, which says nothing about its cell: one line. Exit code 1.

    No row is written: the next run measures the cell.
    """


def seen(value: object) -> str:
    """A wrong value as a message repeats it: its repr, shortened if it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list in lists without end
        return f"({type(value).__name__} too long to be shown)"
    return shortened(text)


def shortened(text: str) -> str:
    """The text; only its start if it is long."""
    return text if len(text) <= _SEEN else f"{text[:_SEEN]}..."

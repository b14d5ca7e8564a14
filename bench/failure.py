"""How a measured thing fails: an outcome with a status and a reason, recorded as a row like any other."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # with it comes the database, which a verb that asks for help does not need
    from results.records import TrialStatus


class TrialFailure(Exception):
    """A trial that ended without its measurement."""

    def __init__(self, status: "TrialStatus", reason: str):
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


class UsageError(Exception):
    """A caller's mistake: one line that says what was wrong, what was seen and what to do. Exit code 2."""

"""What was found of a user's own thing: a line, and whether it does not hold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "FAILED", "not tried"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    subject: str  # problem my_problem
    claim: str  # what should hold
    seen: str = ""  # what was seen instead, and what to do

    @property
    def failed(self) -> bool:
        """Whether it does not hold."""
        return self.verdict == "FAILED"

    def __str__(self) -> str:
        return f"{self.verdict:9} {self.subject}: {self.claim}" + (f": {self.seen}" if self.seen else "")


class NotTried(Exception):
    """It cannot be looked at here; the text says why."""


Look = Callable[[], str]  # what is wrong, in a line; empty if nothing is


def looked(subject: str, claims: dict[str, Look]) -> Iterator[Finding]:
    """A finding for each claim. What a look raises is what was seen."""
    for claim, look in claims.items():
        try:
            seen = look()
        except NotTried as reason:
            yield Finding("not tried", subject, claim, str(reason))
            continue
        except Exception as error:  # noqa: BLE001  (whatever a user's thing raises, it is a finding)
            seen = f"{type(error).__name__}: {error}".splitlines()[0]
        yield Finding("FAILED" if seen else "ok", subject, claim, seen)

"""The findings about a user's extension: a line for each claim, and whether it holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "FAILED", "not tried"]


@dataclass(frozen=True)
class Finding:
    """The result of checking one claim."""

    verdict: Verdict
    subject: str  # problem my_problem
    claim: str  # what should hold
    seen: str = ""  # what was seen instead, and what to do

    @property
    def failed(self) -> bool:
        """Whether the claim does not hold."""
        return self.verdict == "FAILED"

    def __str__(self) -> str:
        return f"{self.verdict:9} {self.subject}: {self.claim}" + (f": {self.seen}" if self.seen else "")


class NotTried(Exception):
    """A claim that cannot be checked here; the text says why."""


Check = Callable[[], str]  # what is wrong, in a line; empty if nothing is


def checked(subject: str, claims: dict[str, Check]) -> Iterator[Finding]:
    """A finding for each claim. If a check raises an exception, that is what was seen."""
    for claim, check in claims.items():
        try:
            seen = check()
        except NotTried as reason:
            yield Finding("not tried", subject, claim, str(reason))
            continue
        except Exception as error:  # noqa: BLE001  (whatever a user's code raises is a finding)
            seen = f"{type(error).__name__}: {error}".splitlines()[0]
        yield Finding("FAILED" if seen else "ok", subject, claim, seen)

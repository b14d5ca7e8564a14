"""The verdicts of a comparison, without HTML and without a terminal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from results.records import Cell
from results.statistics.ratio import Ratio


class Verdict(StrEnum):
    """What became of a number, or of a whole cell (new and gone)."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    WITHIN_NOISE = "within noise"  # of exact numbers: equal
    UNKNOWN = "unknown"  # not comparable, or too uncertain
    NEW = "new"
    GONE = "gone"


ORDER = tuple(Verdict)  # of counts and sections
EQUAL, SAME = "equal", "the same trials"  # reasons of rows that tell nothing more


@dataclass(frozen=True, kw_only=True)
class Row:
    """A number of a cell on both sides, or how its trials of a kind ended; of a new or gone cell the cell alone."""

    cell: Cell
    verdict: Verdict
    name: str = ""  # a metric, or a kind of trials where their statuses are compared; empty: the whole cell
    before: float = math.nan
    after: float = math.nan
    statuses: tuple[str, str] | None = None  # before and after, where these are compared
    ratio: Ratio | None = None  # of times, after over before
    floor: float = math.nan  # the noise floor of the ratio, a factor
    reason: str = ""  # why the verdict is this one
    detail: str = ""  # what a failed trial said: a text of any origin

    @property
    def tells(self) -> bool:
        """Whether there is more to tell than that both sides have the same number."""
        return self.reason not in (EQUAL, SAME)

    @property
    def factor(self) -> float:
        """After over before: the ratio of times, or the quotient of exact numbers; NaN where there is none."""
        if self.ratio:
            return self.ratio.value
        return self.after / self.before if self.before > 0 and self.after >= 0 else math.nan


@dataclass(frozen=True)
class SideView:
    """A side as a reader must know it."""

    label: str  # what was named, in words
    facts: tuple[str, ...]  # where, when and of which code it was measured
    show: str  # the command that prints what is behind the numbers of a cell


@dataclass(frozen=True)
class Compared:
    """The comparison of two sides, before and after."""

    before: SideView
    after: SideView
    notices: tuple[str, ...]  # what a reader must know first: other environments among them
    environments: Mapping[str, tuple[str, str]]  # the facts that differ, before and after
    rows: tuple[Row, ...]  # in the order of the verdicts, the largest change first

    def of(self, verdict: Verdict) -> tuple[Row, ...]:
        """The rows with this verdict."""
        return tuple(row for row in self.rows if row.verdict is verdict)

    def listed(self, verdict: Verdict) -> tuple[Row, ...]:
        """The rows with this verdict, without numbers that are the same on both sides."""
        return tuple(row for row in self.of(verdict) if row.tells)

    @property
    def counts(self) -> Mapping[Verdict, tuple[int, int]]:
        """For each verdict, the number of cells that have a row with it, and the number of these rows."""
        return {each: (len({row.cell.key for row in self.of(each)}), len(self.of(each))) for each in ORDER}

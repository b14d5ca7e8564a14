"""The census of a sweep's cells, printed at the end of a run: how many have ended with which status."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.answers.columns import fitted
from bench.plan.due import Recorded
from bench.sweep.file import Sweep
from bench.verbs.parts.place import DEFAULT_DATABASE
from results.engine.location import public
from results.escaping import one_line
from results.format import plural
from results.records import EXPECTED, Cell

_NAMED = 2  # statuses of failures that are named one by one


@dataclass(frozen=True)
class Census:
    """The cells of a sweep and the statuses of their trials in this environment, of this run and of earlier ones."""

    due: int  # trials that are still to do
    cells: Mapping[str, Cell]  # by key
    ends: Mapping[str, str]  # the first status that is not ok, else ok, by the key of each cell that was begun

    @classmethod
    def of(cls, sweep: Sweep, counts: Recorded, due: int) -> "Census":
        """The census of a sweep, from the trials that count and the number of those that are still to be measured."""
        cells = {cell.key: cell for cell in sweep.wanted}
        ends = {key: ended for key, cell in cells.items() if (ended := counts.ended(cell))}
        return cls(due, cells, ends)

    @property
    def failed(self) -> dict[str, str]:
        """The status of each cell that should have been measured and could not be, by the cell's key."""
        return {key: status for key, status in self.ends.items() if status not in ("ok", *EXPECTED)}

    def __str__(self) -> str:
        """The number of cells with each status."""
        ordered = sorted(Counter(self.ends.values()).items(), key=lambda end: (end[0] != "ok", -end[1]))
        return ", ".join(f"{plural(count, 'cell')} {status}" for status, count in ordered) or "no cell measured"

    def failures(self, sweep: str, only: Sequence[str], url: str) -> Iterator[str]:
        """At most four lines: what failed, by status, and what to do; no lines if no cell has failed.

        `sweep`, `only`: as they were written on the command line.
        """
        by_status: dict[str, list[str]] = {}
        for key, status in self.failed.items():
            by_status.setdefault(status, []).append(key)
        if not by_status:
            return
        ordered = sorted(by_status.items(), key=lambda item: -len(item[1]))
        for status, (first, *others) in ordered[:_NAMED]:
            more = f" and {len(others)} more" if others else ""
            yield fitted(f"failed ({status}): {first}{more}  {one_line(self.cells[first].label)}")
        where = "" if url == DEFAULT_DATABASE else f" --db {shlex.quote(public(url))}"
        yield f"nodebench show {ordered[0][1][0]}{where} tells all that is known of the first"
        cells = "".join(f" --only {shlex.quote(text)}" for text in only)
        yield f"nodebench run {shlex.quote(sweep)}{where}{cells} --again failed measures what failed again"

"""The comparison of two sides, number by number.

Exact numbers are compared by equality. Times are compared by the ratio of samples of the same rounds, or through a
control that was timed beside both; a difference is called by the rules of every comparison: beyond the noise floors of
both sides, and significant among all that are compared.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reports.compare.links import linked
from reports.compare.measured_side import OK, MeasuredSide, measured_side
from reports.compare.sides import notices, view
from reports.compare.verdicts import EQUAL, ORDER, SAME, Compared, Row, Verdict
from reports.measured import Failure, MeasuredCell
from reports.views.findings.comparison import Comparison, compare_all
from results import format as text
from results.metrics import METRICS, Metric
from results.read.where import Where
from results.records import Cell
from results.tools.sides import Side

NOT_MEASURED = "not measured on one side"
UNLINKED = "no samples of the same rounds, and no cell of unchanged code timed beside both"
NOT_IN_ROUNDS = "taken once a process and not in rounds: nothing to divide by"
ELSEWHERE = "measured in another environment"


@dataclass(frozen=True)
class _Pair:
    """A cell on both sides."""

    before: MeasuredCell
    after: MeasuredCell

    @property
    def cell(self) -> Cell:
        return self.before.cell

    def row(self, verdict: Verdict, name: str, reason: str = "") -> Row:
        """The row of a number."""
        before, after = self.before.value(name), self.after.value(name)
        return Row(cell=self.cell, verdict=verdict, name=name, before=before, after=after, reason=reason)


def compare(before: Side, after: Side, cells: Where | None = None) -> Compared:
    """The comparison of the cells that meet the condition; others may be their controls and links."""
    one, other = measured_side(before), measured_side(after)
    alike = before.fingerprint == after.fingerprint
    if alike:
        one, other = linked(before, after, one, other)
    if cells is not None:
        one, other = one.only(cells), other.only(cells)
    rows = [*_in_one_alone(one, other), *_statuses(one, other), *_numbers(one, other, alike=alike)]
    said = [*notices(before, after), *_pending(one, other)]
    differing = {
        name: (before.facts.get(name, ""), after.facts.get(name, ""))
        for name in ({} if alike else dict.fromkeys([*before.facts, *after.facts]))
        if before.facts.get(name) != after.facts.get(name)
    }
    return Compared(view(before), view(after), tuple(said), differing, tuple(sorted(rows, key=_place)))


def _place(row: Row) -> tuple[int, bool, float, str, str]:
    """The order of rows: by verdict, statuses first, then the largest change."""
    change = abs(math.log(row.factor)) if 0 < row.factor < math.inf else math.inf
    return ORDER.index(row.verdict), row.statuses is None, -change, row.cell.label, row.name


def _in_one_alone(one: MeasuredSide, other: MeasuredSide) -> Iterator[Row]:
    """The cells that one side has measured and the other has not even planned."""
    for key, each in other.cells.items():
        if key not in one.cells and other.ended[key]:
            yield Row(cell=each.cell, verdict=Verdict.NEW)
    for key, each in one.cells.items():
        if key not in other.cells and one.ended[key]:
            yield Row(cell=each.cell, verdict=Verdict.GONE)


def _pending(one: MeasuredSide, other: MeasuredSide) -> Iterator[str]:
    """A notice of the cells that were planned, and measured on neither side."""
    count = sum(not one.ended.get(key) and not other.ended.get(key) for key in {*one.cells, *other.cells})
    if count:
        yield f"Left out: {text.plural(count, 'cell')} planned and measured on neither side."


def _statuses(one: MeasuredSide, other: MeasuredSide) -> Iterator[Row]:
    """How trials ended, by cell and kind, where they failed or were not made on one side."""
    for key in one.cells.keys() & other.cells.keys():
        cell, before, after = one.cells[key].cell, one.ended[key], other.ended[key]
        if not before or not after:
            if before or after:
                yield Row(cell=cell, verdict=Verdict.UNKNOWN, reason=NOT_MEASURED)
            continue
        for kind in dict.fromkeys([*before, *after]):
            if any(kind not in ended and set(ended.values()) != {OK} for ended in (before, after)):
                continue  # the cell failed there before this kind was tried, which another row tells
            if (before.get(kind), after.get(kind)) != (OK, OK):
                yield _status(cell, kind, before.get(kind), after.get(kind))


def _status(cell: Cell, kind: str, before: Failure | None, after: Failure | None) -> Row:
    said = tuple(each.status if each else "not measured" for each in (before, after))
    detail = next((each.reason for each in (after, before) if each and each is not OK), "")
    row = Row(cell=cell, verdict=Verdict.UNKNOWN, name=kind, statuses=(said[0], said[1]), detail=detail)
    if before is None or after is None:
        return replace(row, reason=NOT_MEASURED)
    if before.status == after.status:
        return replace(row, verdict=Verdict.WITHIN_NOISE, reason="fails alike on both sides")
    if "unavailable" in said:
        return replace(row, reason="not possible on the machine of one side")
    if OK in (before, after):
        return replace(row, verdict=Verdict.IMPROVED if after is OK else Verdict.REGRESSED)
    return replace(row, reason="fails on both sides, in another way")


def _numbers(one: MeasuredSide, other: MeasuredSide, *, alike: bool) -> Iterator[Row]:
    """Every number that both sides have, and those that one side lacks although its trial ended well."""
    asked: list[tuple[_Pair, str]] = []
    for key in one.cells.keys() & other.cells.keys():
        pair = _Pair(one.cells[key], other.cells[key])
        for name, metric in METRICS.items():
            there = [name in each.metrics or name in each.samples for each in (pair.before, pair.after)]
            if not any(there) or (metric.less_is_better is None and not metric.exact):
                continue
            kind = metric.kind or ""
            if not all(there):
                if one.ended[key].get(kind) is OK and other.ended[key].get(kind) is OK:
                    yield pair.row(Verdict.UNKNOWN, name, NOT_MEASURED)
            elif not set(one.trials[key, kind]).isdisjoint(other.trials[key, kind]):
                yield pair.row(Verdict.WITHIN_NOISE, name, SAME)
            elif metric.exact:
                yield _exact(pair, metric)
            elif not alike:
                yield pair.row(Verdict.UNKNOWN, name, ELSEWHERE)
            elif name in pair.before.samples and name in pair.after.samples:
                asked.append((pair, name))
            else:
                yield pair.row(Verdict.UNKNOWN, name, NOT_IN_ROUNDS)
    compared = compare_all([(pair.after, pair.before, name) for pair, name in asked])
    for (pair, name), found in zip(asked, compared, strict=True):
        yield _timed(pair, METRICS[name], found)


def _exact(pair: _Pair, metric: Metric) -> Row:
    """The verdict of an exact number, which is the same whenever it is measured again. Not-a-number is the worst."""
    before, after = pair.before.value(metric.name), pair.after.value(metric.name)
    if before == after or (math.isnan(before) and math.isnan(after)):
        return pair.row(Verdict.WITHIN_NOISE, metric.name, EQUAL)
    if metric.less_is_better is None:
        return pair.row(Verdict.UNKNOWN, metric.name, "differs, and is neither better nor worse")
    better = math.isnan(before) or (not math.isnan(after) and (after < before) == metric.less_is_better)
    return pair.row(Verdict.IMPROVED if better else Verdict.REGRESSED, metric.name)


def _timed(pair: _Pair, metric: Metric, found: Comparison | None) -> Row:
    """The verdict of a time. Within noise is what shows no difference although its interval is bounded."""
    if found is None:
        return pair.row(Verdict.UNKNOWN, metric.name, UNLINKED)
    ratio, reason = found.ratio, ""
    if found.differs:
        better = (ratio.value < 1) == metric.less_is_better
        verdict = Verdict.IMPROVED if better else Verdict.REGRESSED
    elif math.isinf(ratio.half_width):
        verdict, reason = Verdict.UNKNOWN, "timed in one process, which bounds no ratio"
    elif math.isinf(found.floor):
        verdict, reason = Verdict.UNKNOWN, "no twin bounds the noise"
    elif ratio.low > found.floor or ratio.high < 1 / found.floor:
        verdict, reason = Verdict.UNKNOWN, "beyond the noise floor, but not significant among so many comparisons"
    else:
        verdict, reason = Verdict.WITHIN_NOISE, found.reason
    return replace(pair.row(verdict, metric.name, reason), ratio=ratio, floor=found.floor)

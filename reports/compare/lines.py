"""The numbers and verdicts of a comparison as short texts, which the terminal, Markdown and the page share."""

import re
from collections import Counter
from collections.abc import Sequence

from reports.compare.verdicts import Compared, Row, Verdict
from results import format as text
from results.metrics import METRICS

_FORMS = {"s": text.seconds, "bytes": text.size, "calls": text.count, "products": text.count}
_ARROW = "→"


def opening(compared: Compared) -> str:
    """The comparison in a sentence."""
    counts = compared.counts
    worse, better = counts[Verdict.REGRESSED][1], counts[Verdict.IMPROVED][1]
    said = f"{text.plural(worse, 'number')} regressed and {text.plural(better, 'number')} improved"
    numbers = [row for row in compared.rows if row.verdict not in (Verdict.NEW, Verdict.GONE)]
    cells = {row.cell.key for row in numbers}
    return f"{said}, of {text.plural(len(numbers), 'number')} in {text.plural(len(cells), 'cell')}."


def heading(verdict: Verdict, compared: Compared) -> str:
    """The heading of a verdict's section, with its counts."""
    cells, rows = compared.counts[verdict]
    if verdict in (Verdict.NEW, Verdict.GONE):
        return f"{verdict}: {text.plural(cells, 'cell')}"
    return f"{verdict}: {text.plural(rows, 'number')} of {text.plural(cells, 'cell')}"


def change(row: Row) -> str:
    """The number before and after: 2.31 ms → 2.62 ms; empty for a whole cell."""
    if row.statuses:
        return f" {_ARROW} ".join(row.statuses)
    if not row.name:
        return ""
    metric = METRICS[row.name]
    form = _FORMS.get(metric.unit, text.error if "error" in metric.name else text.number)
    before, after = text.apart(row.before, row.after, form) if metric.exact else (form(row.before), form(row.after))
    return before if before == after else f"{before} {_ARROW} {after}"


def ratio(row: Row) -> str:
    """The ratio of after to before: with its interval for times, alone for exact numbers that differ."""
    if row.ratio:
        return text.ratio(row.ratio)
    exact = bool(row.name) and not row.statuses and METRICS[row.name].exact
    return text.times(row.factor) if exact and row.before != row.after else ""


def floor(row: Row) -> str:
    """The noise floor of a ratio of times, as a percentage: 2.1 %; empty without a ratio."""
    return text.percent(row.floor - 1) if row.ratio else ""


def reasons(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """The reasons of the rows with their numbers, the most frequent first; all noise floors are one reason."""
    counted = Counter(re.sub(r"(?<=noise floor) of .*", "", row.reason) for row in rows if row.reason)
    return [(count, reason) for reason, count in counted.most_common()]


def resolution(compared: Compared) -> str:
    """The changes of time that would not be seen; empty if no time was found within noise."""
    ratios = sorted(
        (row.ratio for row in compared.of(Verdict.WITHIN_NOISE) if row.ratio), key=lambda ratio: ratio.half_width
    )
    if not ratios:
        return ""
    return (
        f"Times within noise are known to {text.within(ratios[len(ratios) // 2])} in the median, "
        f"{text.within(ratios[-1])} at worst: a smaller change is not seen."
    )

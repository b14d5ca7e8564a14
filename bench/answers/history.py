"""The answer of the verb history: lines for the terminal, rows for programs, a page."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.answers.columns import columns
from bench.answers.notices import notify
from bench.answers.reading import chosen, opened
from bench.answers.sparkline import sparkline
from bench.answers.stdout import binary_stdout
from bench.failure import UsageError
from results.escaping import one_line
from results.format import plural
from results.metrics import METRICS
from results.names import nearest
from results.read import lookup
from results.read.history import BY_DEFAULT, Series, history
from results.schema.rows import Row
from results.store import Store
from results.tools.formats import STREAMED

_COLUMNS = {
    "environment": str, "cell_key": str, "cell": str, "metric": str, "unit": str, "control": str, "run_id": str,
    "started_at": float, "git_revision": str, "git_dirty": bool, "code": "json", "value": float, "change": float,
    "p_value": float,
}  # fmt: skip


def print_history(
    url: str,
    *,
    metrics: Sequence[str],
    only: Sequence[str],
    environment: str,
    every: bool,
    form: str | None,
    folder: Path | None,
) -> None:
    """Print the changed series or all of them, or write them in a format to stdout or as a page to a folder."""
    if form and folder:
        raise UsageError(f"--format {form} is for stdout, --output for a page: give one of the two")
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"no metric is called {name!r}{nearest(name, METRICS)}")
    with opened(url) as store:
        found = _series(store, list(dict.fromkeys(metrics)) or BY_DEFAULT, only, environment)
        nothing = "" if any(len(one.points) > 1 for one in found) else _why_nothing(store, found)
        if form:
            notify(*([nothing] if nothing else []))
            _stream([one for one in found if every or one.changes], form)
        elif nothing:
            print(nothing)
        else:
            _tell(found, every, folder)


def _series(store: Store, names: Sequence[str], only: Sequence[str], environment: str) -> list[Series]:
    where = chosen(store, only)
    fingerprint = ""
    if environment:
        with store.database.reading() as connection:
            fingerprint = lookup.environment(connection, environment)
    return [one for one in history(store.database, where, names) if one.fingerprint.startswith(fingerprint)]


def _why_nothing(store: Store, found: Sequence[Series]) -> str:
    """The line about a database without a history."""
    runs = len(store.runs())
    if not runs:
        return f"{store.database.place} has no run yet: nodebench run SWEEP records one"
    if not found:
        return f"no such number in {plural(runs, 'run')}: nodebench show lists the cells and what failed"
    return f"{store.database.place} has {plural(runs, 'run')}, and no cell a second value: a history begins with two"


def _tell(found: Sequence[Series], every: bool, folder: Path | None) -> None:
    from reports.history import shown

    told = shown(found, every=every)
    if folder:
        from reports import ReportError, write_history

        try:
            print(f"history: {write_history(told, folder)}")
        except ReportError as error:
            raise UsageError(str(error)) from None
        return
    encoding = sys.stdout.encoding or "ascii"
    rows = [
        (
            view.series.cell.key[:8],
            *([view.series.fingerprint[:8]] if told.environments > 1 else []),
            view.series.metric.name,
            sparkline([point.value for point in view.series.points], encoding),
            one_line(view.series.cell.label),
            "; ".join(each.line for each in view.changes[::-1]) or "no change",
        )
        for view in told.series
    ]
    header = ("key", *(["environment"] if told.environments > 1 else []), "metric", "runs", "cell", "change")
    if rows:
        print(f"{columns(rows, header)}\n")
    print(columns((line,) for line in (told.opening, *map(one_line, told.notices))))


def _stream(found: Sequence[Series], form: str) -> None:
    with binary_stdout() as out:
        STREAMED[form](out, _COLUMNS, ([*_rows(one)] for one in found))


def _rows(series: Series) -> Iterator[Row]:
    """A row for each value; `change` (a share) and `p_value` where a change begins."""
    changes = {change.index: change for change in series.changes}
    for index, point in enumerate(series.points):
        change = changes.get(index)
        yield {
            "environment": series.fingerprint,
            "cell_key": series.cell.key,
            "cell": series.cell.label,
            "metric": series.metric.name,
            "unit": "1" if series.control else series.metric.unit,
            "control": series.control.key if series.control else None,
            "run_id": point.run_id,
            "started_at": point.started_at,
            "git_revision": point.revision,
            "git_dirty": point.dirty,
            "code": dict(point.code),
            "value": point.value,
            "change": change.relative if change else None,
            "p_value": change.p_value if change else None,
        }

"""What was measured where: the environment, the runs, the counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from reports import format as text
from reports.measured import EXPECTED
from reports.views.noise import noise_summary, noise_table
from reports.views.selection import Selection
from reports.views.table import Table


@dataclass(frozen=True)
class RunView:
    """One going of a sweep."""

    id: str
    sweep_name: str
    sweep_text: str
    state: str
    started: str
    revision: str
    dirty: bool
    volatile: Mapping[str, str]


@dataclass(frozen=True)
class Overview:
    """The head of the page."""

    summary: str  # one line: how much, when
    fingerprint: str
    facts: Mapping[str, str]
    runs: tuple[RunView, ...]
    counts: tuple[tuple[str, str], ...]  # label, number
    pending: str  # empty if nothing is
    noise: str  # what two timings of the same thing differ by; empty if nothing was timed
    blocks: Table | None  # the same, block by block; None without twins


def overview(selection: Selection) -> Overview:
    """The head of the page for these runs."""
    newest = selection.runs.iloc[-1]
    cells = list(selection.cells.values())
    pending = sum(cell.status == "pending" for cell in cells)
    return Overview(
        summary=f"{text.plural(len(selection.cells), 'cell')}, measured {_date(newest['started_at'])}",
        fingerprint=str(newest["fingerprint"]),
        facts=newest["facts"],
        runs=tuple(_run(row) for row in selection.runs.to_dict("records")),
        counts=_counts(selection),
        pending=f"{text.plural(pending, 'cell')} still to be measured" if pending else "",
        noise=noise_summary(cells),
        blocks=noise_table(cells),
    )


def _run(row: dict) -> RunView:
    return RunView(
        id=row["run_id"],
        sweep_name=row["sweep_name"],
        sweep_text=row["sweep_text"],
        state=row["state"],
        started=_date(row["started_at"]),
        revision=row["git_revision"],
        dirty=row["git_dirty"],
        volatile=row["volatile"],
    )


def _counts(selection: Selection) -> tuple[tuple[str, str], ...]:
    cells = selection.cells.values()
    statuses = [cell.status for cell in cells]
    failed = sum(status not in ("ok", "pending", *EXPECTED) for status in statuses)
    return (
        ("cells planned", text.count(len(cells))),
        ("measured", text.count(statuses.count("ok"))),
        ("failed", text.count(failed)),
        ("not possible here", text.count(sum(status in EXPECTED for status in statuses))),
        ("to be measured", text.count(statuses.count("pending"))),
        ("trials", text.count(sum(len(cell.trials) for cell in cells))),
        ("measuring time", text.duration(sum(trial.duration_s for cell in cells for trial in cell.trials))),
    )


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""The head of the page: the environment, the runs, the counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.views.findings.noise import noise_summary, noise_table
from reports.views.parts.shown import environment_table, of_environment, sweep_table
from reports.views.parts.table import Table
from reports.views.selection import Selection
from results import format as text
from results.records import EXPECTED


@dataclass(frozen=True)
class RunView:
    """A run: one execution of a sweep."""

    id: str
    shown: str  # number of its trials on the page
    chosen: bool  # whether its plan is on the page
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

    notices: tuple[str, ...]  # what a reader must know of the selection
    environments: Table | None  # None if there is only one
    sweeps: Table  # those that were run in this environment
    summary: str  # number of cells and date of the newest run, in a line
    fingerprint: str
    facts: Mapping[str, str]
    runs: tuple[RunView, ...]
    counts: tuple[tuple[str, str], ...]  # label, number
    pending: str  # number of cells to be measured, in words; empty if there are none
    noise: str  # a line on the noise floor; empty if nothing was timed
    blocks: Table | None  # the noise floor of each block; None without twins


def overview(selection: Selection) -> Overview:
    """The head of the page for the selected runs."""
    newest = selection.runs.iloc[-1]
    cells = list(selection.cells.values())
    pending = sum(cell.status == "pending" for cell in cells)
    return Overview(
        notices=selection.notices,
        environments=environment_table(selection),
        sweeps=sweep_table(selection),
        summary=f"{text.plural(len(selection.cells), 'cell')}, measured {text.date(newest['started_at'])}",
        fingerprint=str(newest["fingerprint"]),
        facts=newest["facts"],
        runs=tuple(_run(row, selection) for row in of_environment(selection).to_dict("records")),
        counts=_counts(selection),
        pending=f"{text.plural(pending, 'cell')} still to be measured" if pending else "",
        noise=noise_summary(cells),
        blocks=noise_table(cells),
    )


def _run(row: Mapping[Any, Any], selection: Selection) -> RunView:
    return RunView(
        id=row["run_id"],
        shown=text.plural(selection.shown_trials.get(row["run_id"], 0), "trial"),
        chosen=row["run_id"] in set(selection.runs["run_id"]),
        sweep_name=row["sweep_name"],
        sweep_text=row["sweep_text"],
        state=row["state"],
        started=text.date(row["started_at"]),
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

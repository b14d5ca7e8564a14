"""What a report is about: the environment of a sweep's newest run, and there each sweep's newest run."""

from dataclasses import dataclass, replace

from pandas import DataFrame

from reports.measured import MeasuredCell
from reports.reading import measured_cells
from results.pytest_benchmark import SWEEP as IMPORTED
from results.store import EVERYTHING, Store
from results.where import Where


class ReportError(Exception):
    """Why there is no report, and what to do: one line for the user."""


@dataclass(frozen=True)
class Selection:
    """The newest run of each sweep in one environment, oldest first, with their cells."""

    runs: DataFrame
    studies: dict[str, list[MeasuredCell]]  # in the order of the sweeps
    cells: dict[str, MeasuredCell]  # by key; a cell may be in several studies


def select(store: Store, *, only: Where = EVERYTHING) -> Selection:
    """The runs and cells that a report shows: those that meet the condition on cells."""
    runs = store.runs()
    runs = runs[runs["sweep_name"] != IMPORTED]  # what other harnesses have timed is no study of ours
    if runs.empty:
        raise ReportError("the database holds no run: run `nodebench run` first or pass --db with another path")
    fingerprint = str(runs["fingerprint"].iloc[-1])
    newest = runs[runs["fingerprint"] == fingerprint].drop_duplicates("sweep_name", keep="last")
    planned = store.planned(replace(only, run_id=list(newest["run_id"])))
    if planned.empty and only != EVERYTHING:
        raise ReportError("no cell of the runs that the report is about meets --only: leave it out, or run them")
    cells = measured_cells(store, planned, fingerprint=fingerprint)
    studies: dict[str, list[MeasuredCell]] = {}
    for study, key in dict.fromkeys(zip(planned["study"], planned["cell_key"], strict=True)):
        studies.setdefault(study, []).append(cells[key])
    return Selection(newest, studies, cells)

"""The answers of the verbs check, runs and close of `nodebench db`, without torch."""

from collections.abc import Sequence

from bench.answers.columns import columns
from bench.answers.reading import opened
from results.format import date, plural
from results.tools import runs
from results.tools.check import findings

RUN_COLUMNS = ("sweep", "environment", "state", "began", "trials")  # after the run's id


def print_findings(url: str) -> int:
    """Check the database and print a line for each finding; the exit code, 1 if there is one."""
    found = 0
    with opened(url) as store:
        for line in findings(store):
            print(line, flush=True)
            found += 1
        print(f"{store.database.place}: {plural(found, 'finding') if found else 'sound'}")
    return 1 if found else 0


def print_runs(url: str) -> None:
    """Print a line for each run, the newest first."""
    with opened(url) as store:
        rows = list(map(run_row, runs.listed(store)))
        print(columns(rows, ("run", *RUN_COLUMNS)) if rows else "no runs")


def close_runs(starts: Sequence[str], url: str) -> None:
    """Mark runs as interrupted, and print their ids: those that are named, or else all whose process has ended."""
    with opened(url, write=True) as store:
        closed = runs.close(store, starts)
    for run_id in closed:
        print(f"run {run_id}: interrupted")
    if not closed:
        print("no run is written as running whose process is known to have ended: pass a run's id to end another one")


def run_row(line: runs.RunLine) -> tuple[str, ...]:
    """A run as a row: its id, then RUN_COLUMNS."""
    return line.id, line.sweep, line.fingerprint, _state(line), date(line.started_at), str(line.trials)


def _state(line: runs.RunLine) -> str:
    if line.state != "running" or line.holder is None:
        return line.state
    return f"running: {line.holder}" if line.lives else f"running, but {line.holder} has ended"

"""The verbs of `nodebench db` that look a database through and end what was left open: check, runs, close. No torch."""

from collections.abc import Sequence

from bench.answers.columns import columns
from bench.answers.reading import opened
from results.format import date, plural
from results.tools import runs
from results.tools.check import findings

RUN_COLUMNS = ("sweep", "environment", "state", "began", "trials")  # after the run's id


def print_findings(url: str) -> int:
    """Look the database through, and print what was found, a line each; the exit code."""
    found = 0
    with opened(url) as store:
        for line in findings(store):
            print(line, flush=True)
            found += 1
        print(f"{store.database.place}: {plural(found, 'finding') if found else 'sound'}")
    return 1 if found else 0


def print_runs(url: str) -> None:
    """A line a run, the newest first."""
    with opened(url) as store:
        rows = list(map(run_row, runs.listed(store)))
        print(columns(rows, ("run", *RUN_COLUMNS)) if rows else "no runs")


def close_runs(starts: Sequence[str], url: str) -> None:
    """End runs that nobody will end, and say which."""
    with opened(url, write=True) as store:
        closed = runs.close(store, starts)
    for run_id in closed:
        print(f"run {run_id}: interrupted")
    if not closed:
        print("no run is written as running whose process is known to have ended: pass a run's id to end another one")


def run_row(line: runs.RunLine) -> tuple[str, ...]:
    """The run's id, and RUN_COLUMNS."""
    return line.id, line.sweep, line.fingerprint, _state(line), date(line.started_at), str(line.trials)


def _state(line: runs.RunLine) -> str:
    if line.state != "running" or line.holder is None:
        return line.state
    return f"running: {line.holder}" if line.lives else f"running, but {line.holder} has ended"

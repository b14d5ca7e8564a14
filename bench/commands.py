"""What the command line's verbs do. Loaded with the first verb: the libraries behind it are heavy."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.backends import BACKENDS
from bench.environment import environment
from bench.failure import UsageError
from bench.problems import PROBLEMS
from bench.progress import Progress
from bench.protocol import trials
from bench.runner import Runner, due_trials, refusal
from bench.sweep import Sweep, load_sweep, shipped
from node import ADJOINTS, SOLVERS
from results.location import MissingDatabaseError
from results.store import Store, StoreError

_out = Console(highlight=False, soft_wrap=True)


def run_sweep(name: str, url: str) -> int:
    """Measure what is pending; the exit code."""
    sweep = load_sweep(name)
    with _opened(url, create=True) as store:
        due = len(due_trials(store, sweep))
        started = time.monotonic()
        complete = Runner(store, sweep, Progress(Console(stderr=True))).run()
        left = len(due_trials(store, sweep))
        _out.print(
            f"{sweep.name}: {due - left} trials measured in {_minutes(time.monotonic() - started)}, {left} to do"
        )
        _out.print(_census(store, sweep))
        if not complete:
            _out.print("interrupted: nothing measured is lost; run the same command again to go on")
    return 0 if complete else 130


def print_plan(name: str, url: str) -> None:
    """A line a cell, with what of it is recorded."""
    sweep = load_sweep(name)
    cells = list(dict.fromkeys(planned.cell for planned in sweep.planned))
    recorded = _recorded(url, [cell.key for cell in cells])
    table = Table(title=f"{sweep.title}: {len(cells)} cells", title_justify="left", box=None)
    for column in ("key", "cell", "trials", "state"):
        table.add_column(column, no_wrap=True)
    for cell in cells:
        done = recorded.get(cell.key, {})
        failures = sorted({status for status in done.values() if status != "ok"})
        status, _ = refusal(cell)
        state = ", ".join(failures) or (status if status != "ok" else "")
        table.add_row(cell.key, cell.label, f"{len(done)}/{len(trials(cell, sweep.measure))}", state)
    _out.print(table)
    whole = sum(len(recorded.get(cell.key, {})) > 0 for cell in cells)
    _out.print(f"{whole} of {len(cells)} cells have been measured on this machine, in {url}")


def write_report(url: str, folder: Path) -> None:
    """Write the page and say where it is."""
    from reports import ReportError, write

    with _opened(url) as store:
        try:
            _out.print(f"report: {write(store, folder)}")
        except ReportError as error:
            raise UsageError(str(error)) from None


def print_registry(registry: str) -> None:
    """A line for each of a registry's values."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for row in _LISTED[registry]():
        table.add_row(*row)
    _out.print(table)


def print_cell(key: str, url: str) -> None:
    """The cell's fields, its trials, and what each measured."""
    with _opened(url) as store:
        try:
            cell = store.cell(key)
        except StoreError as error:
            raise UsageError(str(error)) from None
        if cell is None:
            raise UsageError(f"no cell whose key begins with {key!r} in {url}: nodebench plan SWEEP prints the keys")
        _out.print(f"{cell.key}  {cell.label}\n")
        _out.print(_table(("field", "value"), [(name, str(value)) for name, value in asdict(cell).items()]))
        keys = [cell.key]
        trials_, metrics, samples = (
            store.trials(cell_keys=keys),
            store.metrics(cell_keys=keys),
            store.samples(cell_keys=keys),
        )
        rows = trials_[["kind", "process_index", "status", "reason", "duration_s"]].astype(str).values.tolist()
        _out.print(_table(("trial", "process", "status", "reason", "duration_s"), rows))
        rows = metrics[["kind", "process_index", "name", "value"]].astype(str).values.tolist()
        _out.print(_table(("trial", "process", "metric", "value"), rows))
        rows = (
            samples[["process_index", "name", "round_index", "position", "value", "repeats"]]
            .astype(str)
            .values.tolist()
        )
        _out.print(_table(("process", "sample", "round", "position", "seconds", "calls"), rows))


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(*header, box=None)
    for row in rows:
        table.add_row(*row)
    return table


def _solvers() -> Iterator[tuple[str, ...]]:
    for solver in SOLVERS.values():
        step = "adaptive or fixed" if solver.adaptive else "fixed"
        yield solver.name, f"order {solver.order}", f"{solver.stages} stages", step, solver.source


def _sweeps() -> Iterator[tuple[str, ...]]:
    for name in shipped():
        sweep = load_sweep(name)
        yield name, f"{len(sweep.planned)} cells", sweep.title


_LISTED = {
    "problems": lambda: ((p.name, p.equation, p.source) for p in PROBLEMS.values()),
    "solvers": _solvers,
    "backends": lambda: ((b.name, b.summary, ", ".join(b.solvers), ", ".join(b.gradients)) for b in BACKENDS.values()),
    "gradients": lambda: (("none", "a forward solve alone"), *((a.name, a.cost) for a in ADJOINTS.values())),
    "sweeps": _sweeps,
}


@contextmanager
def _opened(url: str, *, create: bool = False) -> Iterator[Store]:
    try:
        store = Store.open(url, create=create)
    except StoreError as error:
        raise UsageError(str(error)) from None
    with store:
        yield store


def _recorded(url: str, keys: list[str]) -> dict[str, dict[tuple[str, int], str]]:
    """What the database has of these cells; nothing where there is no database yet."""
    try:
        store = Store.open(url)
    except MissingDatabaseError:
        return {}
    except StoreError as error:
        raise UsageError(str(error)) from None
    with store:
        return store.recorded(environment().fingerprint, keys)


def _census(store: Store, sweep: Sweep) -> str:
    """How the sweep's cells stand."""
    keys = [planned.cell.key for planned in sweep.planned]
    recorded = store.recorded(environment().fingerprint, keys)
    worst = Counter(next((s for s in done.values() if s != "ok"), "ok") for done in recorded.values())
    return ", ".join(f"{count} cells {status}" for status, count in worst.most_common()) or "no cell measured"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"

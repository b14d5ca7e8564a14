"""The verbs that know what can be measured: run, plan, list. Loaded with the first of them, as torch is heavy."""

import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console

from bench.backends import BACKENDS
from bench.estimate import Costs, estimated_s
from bench.failure import UsageError
from bench.known import recorded
from bench.machine.environment import environment
from bench.machine.lock import turn
from bench.problems import PROBLEMS
from bench.progress import Progress
from bench.protocol import Recorded, kinds, pending
from bench.runner import Runner, due_trials, refusal
from bench.sweep import Sweep, load_sweep, shipped
from bench.verbs.columns import columns
from bench.verbs.reading import opened
from node import ADJOINTS, SOLVERS
from results.costs import costs
from results.location import MissingDatabaseError, UnwritableError
from results.records import Cell
from results.store import Store
from results.where import Where


def run_sweep(name: str, url: str) -> int:
    """Measure what is pending; the exit code."""
    sweep = load_sweep(name)
    with opened(url, create=True) as store, turn(f"sweep {sweep.name}", _tell):
        started = time.monotonic()
        runner = Runner(store, sweep, Progress(Console(stderr=True)))
        complete = runner.run()
        print(f"{sweep.name}: {_told(runner, time.monotonic() - started)}{_standing(store, sweep)}")
        for holder, count in runner.left.items():
            print(f"{count} of these trials are left to {holder}, which is at them now")
        if not complete:
            print("interrupted: nothing measured is lost; run the same command again to go on")
        if store.spooled.files:
            print(f"nodebench: {store.spooled}; then run the same command again: it takes them in", file=sys.stderr)
    if not complete:
        return 130
    return 1 if store.spooled.files or store.database.astray else 0


def _told(runner: Runner, seconds: float) -> str:
    """What has been measured, in which time, and how much of the time was measuring."""
    if not runner.measured:
        return "0 trials measured"
    return (
        f"{runner.measured} trials measured in {_minutes(seconds)} "
        f"({runner.busy_s / seconds:.0%} of it measuring, {1e3 * (seconds - runner.busy_s) / runner.measured:.0f} ms "
        "a trial for the rest)"
    )


def _tell(said: str) -> None:
    print(f"nodebench: {said}", file=sys.stderr, flush=True)


def _standing(store: Store, sweep: Sweep) -> str:
    """What is left, and how the sweep's cells stand."""
    try:
        return f", {len(due_trials(store, sweep))} to do\n{_census(store, sweep)}"
    except UnwritableError:
        if not store.spooled.files:
            raise
        return ""  # why is said of what was spooled


def print_plan(name: str, url: str) -> None:
    """A line a cell, with what of it is recorded."""
    sweep = load_sweep(name)
    cells = list(dict.fromkeys(planned.cell for planned in sweep.planned))
    known, taken = _recorded(url, cells)
    print(columns((_plan_row(cell, known) for cell in cells), _PLAN_HEADER))
    done = sum(not pending([cell], known) for cell in cells)
    refused = sum(refusal(cell)[0] != "ok" for cell in cells)
    print(f"\n{sweep.title}: {len(cells)} cells, {done} done in {url}, {refused} cannot be measured here")
    print(_duration(sweep, known, taken))


def _duration(sweep: Sweep, known: Recorded, taken: Costs) -> str:
    """How long the rest of it will take."""
    possible = (cell for cell in dict.fromkeys(planned.cell for planned in sweep.planned) if refusal(cell)[0] == "ok")
    due = pending(possible, known)
    if not due:
        return "nothing is left to measure"
    seconds = estimated_s(due, sweep.measure, taken)
    if math.isnan(seconds):
        return "how long it takes can be estimated when trials of these kinds were measured on this machine"
    return f"about {_minutes(seconds)} to measure what is left, by what trials alike took on this machine"


_PLAN_HEADER = ("key", "cell", "measured", "state")


def _plan_row(cell: Cell, known: Recorded) -> tuple[str, ...]:
    failures = sorted({status for status in known.of(cell).values() if status != "ok"})
    status, _ = refusal(cell)
    state = ", ".join(failures) or (status if status != "ok" else "")
    every = kinds(cell)
    return cell.key, cell.label, f"{sum(known.done(cell, kind) for kind in every)}/{len(every)}", state


def print_registry(registry: str) -> None:
    """A line for each of a registry's values."""
    print(columns(_LISTED[registry]()))


def _solvers() -> Iterator[tuple[str, ...]]:
    for solver in SOLVERS.values():
        stages = f"{solver.stages} stage{'s' if solver.stages > 1 else ''}"
        yield solver.name, f"order {solver.order}", stages, solver.summary, solver.source


def _gradients() -> Iterator[tuple[str, ...]]:
    yield "mode", "exactness", "memory", "backward pass: N steps of s evaluations forwards, M backwards"
    yield "none", "no gradient", "-", "a forward solve alone"
    for mode in ADJOINTS.values():
        yield mode.name, mode.exactness, mode.memory, mode.time


def _sweeps() -> Iterator[tuple[str, ...]]:
    for name in shipped():
        sweep = load_sweep(name)
        yield name, f"{len(sweep.planned)} cells", sweep.title


_LISTED = {
    "problems": lambda: ((p.name, p.equation, p.source) for p in PROBLEMS.values()),
    "solvers": _solvers,
    "backends": lambda: ((b.name, b.summary, ", ".join(b.solvers), ", ".join(b.gradients)) for b in BACKENDS.values()),
    "gradients": _gradients,
    "sweeps": _sweeps,
}


def _recorded(url: str, cells: Sequence[Cell]) -> tuple[Recorded, Costs]:
    """What the database has of these cells, and what trials here have taken; nothing where there is no database yet."""
    try:
        with opened(url) as store:
            here = environment().fingerprint
            taken = Costs.of(costs(store.database, here), store.noise_floors(Where(fingerprint=here)))
            return recorded(store, cells), taken
    except UsageError as error:
        if isinstance(error.__cause__, MissingDatabaseError):
            return Recorded(), Costs()
        raise


def _census(store: Store, sweep: Sweep) -> str:
    """How the sweep's cells stand."""
    keys = [planned.cell.key for planned in sweep.planned]
    recorded = store.recorded(environment().fingerprint, keys)
    ends = Counter(next((status for status in done.values() if status != "ok"), "ok") for done in recorded.values())
    ordered = sorted(ends.items(), key=lambda end: (end[0] != "ok", -end[1]))
    return ", ".join(f"{count} cells {status}" for status, count in ordered) or "no cell measured"


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"

"""The answers of the verbs run and list, which need the registries: loaded only when one of them is called."""

import sys
import time
from collections.abc import Iterator, Sequence

from bench.answers.census import Census
from bench.answers.choosing import chosen, warn
from bench.answers.columns import columns
from bench.answers.notices import notify
from bench.answers.reading import opened
from bench.answers.summary import LINES, page_line, won_lines
from bench.backends import BACKENDS
from bench.extensions import KINDS, installed, offered, shadowed, use_files
from bench.failure import UsageError
from bench.interrupt import ignore_all
from bench.machine import temporary
from bench.machine.lock import turn
from bench.options import lines
from bench.plan.again import again as measured_again
from bench.plan.due import due_trials, recorded
from bench.run.progress import Progress
from bench.run.runner import Runner
from bench.sweep.axes import names
from bench.sweep.catalogue import catalogue
from bench.sweep.file import Sweep, load_sweep
from bench.sweep.options import options_of
from bench.sweep.shipped import shipped
from results.engine.location import UnwritableError
from results.format import duration, plural
from results.store import Store


def run_sweep(
    name: str,
    url: str,
    *,
    only: Sequence[str],
    use: Sequence[str],
    again: Sequence[str],
    quiet: bool,
    strict: bool,
) -> int:
    """Measure the trials that are due, then print a summary of the sweep; the exit code of the program."""
    sweep = chosen(load_sweep(name, use), only)
    warn(sweep)
    notify(*shadowed({(kind, getattr(cell, kind)) for cell in sweep.wanted for kind in KINDS}))
    repeated = measured_again(again, sweep.wanted)
    temporary.folder()  # without it nothing can be measured: fail before waiting for a turn
    with opened(url, create=True) as store, turn(f"sweep {sweep.name}", notify):
        started = time.monotonic()
        runner = Runner(store, sweep, Progress(None if quiet else sys.stderr), repeated)
        complete = runner.run()
        if not complete:
            ignore_all()  # the first signal has ended the run: a second one must not cut off its last lines
        done, census = _measured(runner, time.monotonic() - started), _census(store, sweep, runner)
        if census:
            failures = list(census.failures(name, only, url))
            won = won_lines(store, sweep, room=LINES - 3 - len(failures)) if complete and runner.measured else []
            print(f"{sweep.name}: {done}, {census.due} to do", str(census), *won, *failures, page_line(url), sep="\n")
        else:
            print(f"{sweep.name}: {done}")
        for holder, count in runner.left.items():
            print(f"{count} of these trials are left to {holder}, which is at them now")
        if not complete:
            print("interrupted: nothing measured is lost; run the same command again to go on")
        if store.spooled.files:
            notify(f"{store.spooled}; then run the same command again: it takes them in")
    if not complete:
        return 130
    wanting = strict and (census is None or census.due or census.failed)
    return 1 if store.spooled.files or store.database.moved_to or wanting else 0


def _measured(runner: Runner, seconds: float) -> str:
    """A text: how many trials were measured, in which time, and what the process of one costs beside its measuring."""
    if not runner.measured:
        return "0 trials measured"
    process_ms = 1e3 * runner.overhead_s / runner.measured
    return f"{runner.measured} trials measured in {duration(seconds)} ({process_ms:.0f} ms a trial for its process)"


def _census(store: Store, sweep: Sweep, runner: Runner) -> Census | None:
    """The census of the sweep's cells; None if the database cannot be written, so that trials were spooled."""
    if runner.nothing_due:
        return Census.of(sweep, runner.found, due=0)
    try:
        counts = recorded(store, sweep.wanted)
        return Census.of(sweep, counts, due=len(due_trials(sweep, counts)))
    except UnwritableError:
        if not store.spooled.files:
            raise
        return None


def print_registry(registry: str, use: Sequence[str]) -> None:
    """Print a line for each value of a registry."""
    use_files(use)
    print(columns(_LISTED[registry]()))
    kind = registry.removesuffix("s")
    waiting = [(name, f"of {place}") for name, place in offered(kind).items() if name not in names(kind)]
    if waiting:
        print(f"\n{columns(waiting, ('installed', 'loaded when a sweep names it'))}")
    notify(*shadowed({(kind, name) for name in names(kind)}))


def print_options(name: str, use: Sequence[str]) -> None:
    """Print a line for each option of a problem, solver, gradient mode or backend."""
    use_files(use)
    try:
        if not any(name in names(kind) for kind in KINDS):
            for kind in KINDS:
                installed(kind, name)
        options = options_of(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not options:
        print(f"{name} has no options")
    else:
        print(columns(lines(options), ("option", "value", "default", "meaning")))


def _solvers() -> Iterator[tuple[str, ...]]:
    for name, solver in catalogue().solvers.items():
        stages = f"{solver.stages} stage{'s' if solver.stages > 1 else ''}"
        yield name, f"order {solver.order}", stages, solver.summary, solver.source


def _gradients() -> Iterator[tuple[str, ...]]:
    yield "mode", "exactness", "memory", "backward pass: N steps of s evaluations forwards, M backwards"
    yield "none", "no gradient", "-", "a forward solve alone"
    for name, mode in catalogue().gradients.items():
        yield name, mode.exactness, mode.memory, mode.time


def _sweeps() -> Iterator[tuple[str, ...]]:
    for name in shipped():
        sweep = load_sweep(name)
        yield name, plural(len(sweep.planned), "cell"), sweep.title


_LISTED = {
    "problems": lambda: ((name, problem.equation, problem.source) for name, problem in catalogue().problems.items()),
    "solvers": _solvers,
    "backends": lambda: ((b.name, b.summary, ", ".join(b.solvers), ", ".join(b.gradients)) for b in BACKENDS.values()),
    "gradients": _gradients,
    "sweeps": _sweeps,
}

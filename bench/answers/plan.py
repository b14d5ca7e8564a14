"""The answer of the verb plan: the cells of a sweep, their trials still to be measured, and the time these take."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from bench.answers.choosing import chosen, warn
from bench.answers.columns import columns
from bench.answers.reading import opened
from bench.failure import UsageError
from bench.machine.crowding import allowed
from bench.machine.environment import environment
from bench.measures.kinds import kinds
from bench.plan.due import Recorded, pending, recorded
from bench.plan.estimate import Costs, estimated_s
from bench.plan.feasible import refusal
from bench.plan.protocol import Pending
from bench.sweep.file import Sweep, load_sweep
from bench.sweep.measure import asked
from bench.sweep.remarks import remarks
from results.engine.location import MissingDatabaseError, public
from results.format import duration, plural
from results.read.costs import costs
from results.read.where import Where
from results.records import Cell

_HEADER = ("key", "cell", "measured", "state")


def print_plan(name: str, url: str, *, only: Sequence[str], use: Sequence[str]) -> None:
    """Print a line for each cell with how many of its trials are recorded, and an estimate of the time left."""
    sweep = chosen(load_sweep(name, use), only)
    warn(sweep)
    refused = {cell: status for cell in sweep.wanted if (status := refusal(cell)[0]) != "ok"}
    known, due, costs_here, before = _due(sweep, url, refused)
    left = Counter(trial.cell for trial in due)
    print(columns((_row(cell, known, left[cell], refused.get(cell, "")) for cell in sweep.wanted), _HEADER))
    done = sum(cell not in left for cell in sweep.wanted)
    every = plural(len(sweep.wanted), "cell")
    print(f"\n{sweep.title}: {every}, {done} done in {public(url)}, {len(refused)} cannot be measured here")
    if known.outdated:
        was, they = ("was", "it is") if len(known.outdated) == 1 else ("were", "they are")
        print(f"{len(known.outdated)} {was} measured, but of code that has changed since: {they} due again")
    if before:
        was, they = ("was", "it is") if before == 1 else ("were", "they are")
        print(f"{before} {was} measured here by an older nodebench, which kept no hash of the code: {they} due again")
    feasible = [trial for trial in due if trial.cell not in refused]
    print(_time_left(feasible, sweep, costs_here), *remarks(sweep.wanted), sep="\n")


def _due(sweep: Sweep, url: str, refused: Mapping[Cell, str]) -> tuple[Recorded, list[Pending], Costs, int]:
    """The recorded trials, those still to be measured, the costs of trials here, and a number of cells.

    The number is of cells that an older nodebench measured. Where there is no database yet, nothing is recorded.
    """
    wanted = asked(sweep.measure)
    try:
        with opened(url) as store:
            known = recorded(store, sweep.wanted)
            due = pending(sweep.wanted, known, wanted)
            if all(trial.cell in refused for trial in due):
                return known, due, Costs(), 0
            here = environment()
            recorded_costs = costs(store.database, here.fingerprint)
            floors = store.noise_floors(Where(fingerprint=here.fingerprint))
            before = store.measured_before(here.facts, list({trial.cell.key for trial in due} - set(known.outdated)))
            return known, due, Costs.of(recorded_costs, floors), before
    except UsageError as error:
        if isinstance(error.__cause__, MissingDatabaseError):
            return Recorded(), pending(sweep.wanted, Recorded(), wanted), Costs(), 0
        raise


def _row(cell: Cell, known: Recorded, left: int, refused: str) -> tuple[str, ...]:
    failures = [status for status in known.statuses(cell) if status != "ok"]
    every = len(kinds(cell))
    return cell.key, cell.label, f"{every - left}/{every}", ", ".join(failures) or refused


def _time_left(due: Sequence[Pending], sweep: Sweep, costs_here: Costs) -> str:
    """The line that says how long the trials still to be measured will take."""
    if not due:
        return "nothing is left to measure"
    seconds = estimated_s(due, sweep.measure, costs_here, allowed())
    if math.isnan(seconds):
        return "no estimate yet of how long it takes: no trial of these kinds was measured on this machine"
    return f"about {duration(seconds)} to measure what is left, by what similar trials took on this machine"

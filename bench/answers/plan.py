"""The verb plan: the cells of a sweep, what of each is still to be measured, and how long that will take."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from bench.answers.choosing import chosen, warn
from bench.answers.columns import columns
from bench.answers.reading import opened
from bench.failure import UsageError
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
    """A line a cell, with what of it is recorded."""
    sweep = chosen(load_sweep(name, use), only)
    warn(sweep)
    refused = {cell: status for cell in sweep.wanted if (status := refusal(cell)[0]) != "ok"}
    known, due, taken, before = _due(sweep, url, refused)
    left = Counter(one.cell for one in due)
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
    print(_time_left([one for one in due if one.cell not in refused], sweep, taken), *remarks(sweep.wanted), sep="\n")


def _due(sweep: Sweep, url: str, refused: Mapping[Cell, str]) -> tuple[Recorded, list[Pending], Costs, int]:
    """The trials that count, those still to be measured, what trials took here, and a count of cells.

    It is of the cells that an older nodebench measured. Nothing counts where there is no database yet.
    """
    wanted = asked(sweep.measure)
    try:
        with opened(url) as store:
            known = recorded(store, sweep.wanted)
            due = pending(sweep.wanted, known, wanted)
            if all(one.cell in refused for one in due):
                return known, due, Costs(), 0
            here = environment()
            taken = costs(store.database, here.fingerprint), store.noise_floors(Where(fingerprint=here.fingerprint))
            before = store.measured_before(here.facts, list({one.cell.key for one in due} - set(known.outdated)))
            return known, due, Costs.of(*taken), before
    except UsageError as error:
        if isinstance(error.__cause__, MissingDatabaseError):
            return Recorded(), pending(sweep.wanted, Recorded(), wanted), Costs(), 0
        raise


def _row(cell: Cell, known: Recorded, left: int, refused: str) -> tuple[str, ...]:
    failures = [status for status in known.statuses(cell) if status != "ok"]
    every = len(kinds(cell))
    return cell.key, cell.label, f"{every - left}/{every}", ", ".join(failures) or refused


def _time_left(due: Sequence[Pending], sweep: Sweep, taken: Costs) -> str:
    """How long the rest of it will take."""
    if not due:
        return "nothing is left to measure"
    seconds = estimated_s(due, sweep.measure, taken)
    if math.isnan(seconds):
        return "no estimate yet of how long it takes: no trial of these kinds was measured on this machine"
    return f"about {duration(seconds)} to measure what is left, by what trials alike took on this machine"

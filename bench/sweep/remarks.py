"""Remarks on a sweep's cells that are printed before they are measured."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bench.backends import BACKENDS
from bench.backends.base import reason_against
from bench.backends.grid import steps_end_on
from results.format import plural
from results.records import Cell

_MOST_STEPS = 1e9  # beyond this, rounding errors of the ends are no longer small beside a step

_SHOWN = 3  # steps that do not fit, printed one by one


def remarks(cells: Sequence[Cell]) -> list[str]:
    """Lines about steps that do not fit their cells' times, and about the forms in which other libraries are used."""
    uneven = list(_uneven(cells))
    more = [f"... and {len(uneven) - _SHOWN} more steps that do not fit"] if len(uneven) > _SHOWN else []
    return [*uneven[:_SHOWN], *more, *_asked(cells)]


def _uneven(cells: Iterable[Cell]) -> Iterator[str]:
    """A line for each step that does not divide the end time, or that ends on some outputs only."""
    for dt, horizon, n_outputs in dict.fromkeys((cell.dt, cell.horizon, cell.n_outputs) for cell in cells):
        if dt is None or not horizon / dt < _MOST_STEPS:
            continue
        gap = horizon / (n_outputs - 1)
        if not steps_end_on(dt, (0.0, horizon, horizon)):  # the end time as an inner time, which is checked
            fitting = horizon / max(1, round(horizon / dt))
            rest = horizon - math.floor(horizon / dt) * dt
            yield f"dt = {dt:g} does not divide the end time {horizon:g}: the last step is {rest:.2g}; take {fitting!r}"
        elif not steps_end_on(dt, (0.0, gap, horizon - gap, horizon)):
            yield f"dt = {dt:g} does not divide {gap:g}, the time between {n_outputs} outputs: they are interpolated"


def _asked(cells: Iterable[Cell]) -> Iterator[str]:
    possible = (cell for cell in cells if not reason_against(cell) and cell.backend != "node")
    forms = Counter((cell.backend, BACKENDS[cell.backend].asked(cell)) for cell in possible)
    for (backend, form), count in forms.items():
        yield f"{backend} is asked for in {plural(count, 'cell')}: {form}"

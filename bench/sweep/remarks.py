"""What is worth knowing of a sweep's cells before they are measured."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bench.backends import BACKENDS
from bench.backends.grid import steps_end_on
from results.format import plural
from results.records import Cell

_MOST_STEPS = 1e9  # beyond, the ends of steps are not known to a share of a step

_SHOWN = 3  # steps that do not fit


def remarks(cells: Sequence[Cell]) -> list[str]:
    """Lines on steps that do not fit their cells' times, and on the forms that another library is asked for."""
    uneven = list(_uneven(cells))
    more = [f"... and {len(uneven) - _SHOWN} more steps that do not fit"] if len(uneven) > _SHOWN else []
    return [*uneven[:_SHOWN], *more, *_asked(cells)]


def _uneven(cells: Iterable[Cell]) -> Iterator[str]:
    """Steps that do not divide the end time, or that end on some outputs only."""
    for dt, horizon, n_outputs in dict.fromkeys((cell.dt, cell.horizon, cell.n_outputs) for cell in cells):
        if dt is None or not horizon / dt < _MOST_STEPS:
            continue
        apart = horizon / (n_outputs - 1)
        if not steps_end_on(dt, (0.0, horizon, horizon)):  # the end as a time between
            fitting = horizon / max(1, round(horizon / dt))
            rest = horizon - math.floor(horizon / dt) * dt
            yield f"dt = {dt:g} does not divide the end time {horizon:g}: the last step is {rest:.2g}; take {fitting!r}"
        elif not steps_end_on(dt, (0.0, apart, horizon - apart, horizon)):
            yield f"dt = {dt:g} does not divide {apart:g}, the time between {n_outputs} outputs: they are interpolated"


def _asked(cells: Iterable[Cell]) -> Iterator[str]:
    possible = (cell for cell in cells if not BACKENDS[cell.backend].unsupported(cell) and cell.backend != "node")
    forms = Counter((cell.backend, BACKENDS[cell.backend].asked(cell)) for cell in possible)
    for (backend, form), count in forms.items():
        yield f"{backend} is asked for in {plural(count, 'cell')}: {form}"

"""Which library takes less time for the same cell."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from itertools import combinations

from reports.measured import MeasuredCell, measured_of
from reports.views.choice import grouped
from reports.views.comparison import Comparison, Pair, Times
from reports.views.section import Finding
from reports.views.spread import Spread

NO_WINNER = "no clear winner"


def library_pairs(cells: Sequence[MeasuredCell], name: str) -> list[Pair]:
    """The cells that are equal but for the backend, two and two; the backend that comes first is the denominator."""
    alike = grouped(measured_of(cells, name), lambda each: astuple(replace(each.cell, backend="")))
    return [(other, one) for group in alike.values() for one, other in combinations(group, 2)]


def library_finding(cells: Sequence[MeasuredCell], name: str, times: Times) -> Finding | None:
    """Which backend is faster over the cells that are equal but for it; None where there are no two to compare."""
    compared: dict[tuple[str, str], list[Comparison]] = {}
    for other, one in library_pairs(cells, name):
        if comparison := times.get((other.key, one.key)):
            compared.setdefault((other.cell.backend, one.cell.backend), []).append(comparison)
            compared.setdefault((one.cell.backend, other.cell.backend), []).append(comparison.inverse)
    for backend in dict.fromkeys(each.cell.backend for each in cells):
        spreads = {other: Spread.timed(ratios) for (other, one), ratios in compared.items() if one == backend}
        if spreads and all(spread.median >= 1 for spread in spreads.values()):
            said = [f"{other} over {backend}: {spread}" for other, spread in spreads.items()]
            return Finding("library", _answer(backend, spreads), f"Time of equal cells, {'; '.join(said)}.")
    return None


def _answer(backend: str, spreads: dict[str, Spread]) -> str:
    if all(spread.clear for spread in spreads.values()):
        return backend
    equal = [other for other, spread in spreads.items() if spread.equal]
    mixed = [other for other, spread in spreads.items() if not (spread.equal or spread.clear)]
    return NO_WINNER if mixed else " or ".join([backend, *equal])

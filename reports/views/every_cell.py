"""Every cell as columns of its axes and numbers, as the page's explorer reads them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from reports.measured import MeasuredCell
from reports.palette import colour_of
from results.metrics import METRICS
from results.records import Cell

_AXES = tuple(each.name for each in fields(Cell) if each.name != "options")
_CLOCKS = ("forward_s", "gradient_s")
_DIGITS = 6  # of a number


@dataclass(frozen=True)
class Field:
    """A column: an axis, an option, or a metric."""

    name: str
    meaning: str  # empty for an axis
    unit: str  # empty for an axis
    numeric: bool
    low: str = ""  # names of the columns of its 95 % interval; empty if it has none
    high: str = ""


@dataclass(frozen=True)
class EveryCell:
    """The columns, by name. A column of texts is a pair of its distinct texts and the index of each cell's text."""

    fields: tuple[Field, ...]  # those that differ among the cells
    columns: Mapping[str, Any]
    same: Mapping[str, Any]  # axes that have one value in all cells
    colours: Mapping[str, tuple[str, str]]  # of solvers, libraries and modes, on a light and on a dark page

    def as_json(self) -> Mapping[str, object]:
        """The columns in the types of JSON."""
        return asdict(self)


def every_cell(cells: Iterable[MeasuredCell]) -> EveryCell:
    """The columns of these cells; a number that a cell does not have is None.

    The interval of a time is that of its ratio to the control, around the time itself.
    """
    cells = list(cells)
    columns: dict[str, Sequence[Any]] = {
        "key": [each.key for each in cells],
        "label": [each.cell.label for each in cells],
        "status": [each.status for each in cells],
    }
    found: list[Field] = []
    same: dict[str, Any] = {}
    for name, values in _axes(cells).items():
        if len({str(value) for value in values}) == 1:
            same[name] = values[0]
            continue
        numeric = all(isinstance(value, int | float) or value is None for value in values)
        found.append(Field(name, "", "", numeric))
        columns[name] = values
    for name, metric in METRICS.items():
        values = [_known(each.value(name)) for each in cells]
        if any(value is not None for value in values):
            columns[name] = values
            ends = (f"{name}_low", f"{name}_high") if name in _CLOCKS else ("", "")
            found.append(Field(name, metric.meaning, metric.unit, True, *ends))
            if name in _CLOCKS:
                columns |= dict(zip(ends, zip(*(_interval(each, name) for each in cells), strict=True), strict=True))
    texts = {name: _coded(values) for name, values in columns.items() if any(isinstance(v, str) for v in values)}
    return EveryCell(tuple(found), {**columns, **texts}, same, _colours(cells))


def _colours(cells: Iterable[MeasuredCell]) -> Mapping[str, tuple[str, str]]:
    names = sorted({getattr(each.cell, axis) for each in cells for axis in ("solver", "backend", "gradient")})
    return {name: (colour_of(name).light, colour_of(name).dark) for name in names}


def _axes(cells: Sequence[MeasuredCell]) -> dict[str, list[Any]]:
    options = dict.fromkeys(name for each in cells for name in each.cell.option_values)
    axes = {name: [getattr(each.cell, name) for each in cells] for name in _AXES}
    return axes | {name: [each.cell.option_values.get(name) for each in cells] for name in options}


def _interval(each: MeasuredCell, name: str) -> tuple[float | None, float | None]:
    seconds, ratio = each.value(name), each.ratios.get(name)
    if ratio is None or not math.isfinite(seconds):
        return None, None
    return _known(seconds * ratio.low / ratio.value), _known(seconds * ratio.high / ratio.value)


def _known(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _coded(values: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
    texts = list(dict.fromkeys("" if value is None else str(value) for value in values))
    places = {text: place for place, text in enumerate(texts)}
    return {"texts": texts, "places": [places["" if value is None else str(value)] for value in values]}

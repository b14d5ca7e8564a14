"""Gradient modes along one axis of a sweep: where two change their order, and what rises or falls."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from reports.measured import MeasuredCell
from reports.views.findings.axes import AXES, Place, middle
from reports.views.findings.comparison import Comparison
from reports.views.findings.configuration import SETTINGS, Configuration, grouped, settings
from reports.views.findings.modes import ModeRow
from results import format as text
from results.records import canonical

ALONG: Mapping[str, Callable[[MeasuredCell], Place]] = {
    **AXES,
    "batch_size": lambda each: (each.cell.batch_size, SETTINGS["batch_size"](each.cell.batch_size)),
}
FIXED = 1.1  # a count that changes by less along an axis is called fixed
EXPLAINS = 0.5  # share of a trend's logarithm by which a count must change to explain it


@dataclass(frozen=True)
class Crossover:
    """The place from which on a choice is on the other side of the one that it is compared with."""

    place: Place  # the first one beyond the crossover
    before: Place  # the last one ahead of it
    less: bool  # whether the choice is the lesser from that place on


@dataclass(frozen=True)
class Trend:
    """A number that rises or falls monotonically along the axis, by more than the noise."""

    first: float
    last: float
    count: tuple[float, float] | None  # the NFE at both ends, if it explains the trend

    @property
    def strength(self) -> float:
        """The logarithm of the ratio of the ends, without its sign."""
        return abs(math.log(self.last / self.first))

    @property
    def word(self) -> str:
        """The direction in a word."""
        return "rises" if self.last > self.first else "falls"


@dataclass(frozen=True)
class Series:
    """A choice along an axis, at each place beside the cell that it is compared with."""

    configuration: Configuration
    places: tuple[Place, ...]
    rows: tuple[ModeRow, ...]

    @property
    def order_of_times(self) -> list[int]:
        """The signs of the differences of times: 0 where none is called."""
        return [_sign(row.time) for row in self.rows]

    @property
    def order_of_bytes(self) -> list[int]:
        """The signs of the differences of memory, which is exact."""
        quotients = [row.quotient("peak_bytes") for row in self.rows]
        return [0 if math.isnan(each) else (each > 1) - (each < 1) for each in quotients]

    def crossover(self, order: Sequence[int]) -> Crossover | None:
        """The only change of this order along the axis; None if there is none, or more than one."""
        known = [(place, sign) for place, sign in zip(self.places, order, strict=True) if sign]
        changes = [(one, other) for one, other in pairwise(known) if one[1] != other[1]]
        if len(changes) != 1:
            return None
        ((before, _), (place, sign)) = changes[0]
        return Crossover(place, before, less=sign < 0)

    @property
    def trend_of_times(self) -> Trend | None:
        """The trend of the ratio of times; None if it is not monotone, or its ends differ by no more than the floor."""
        known = [row for row in self.rows if row.time and not row.time.few_processes]
        times = [row.time for row in known if row.time]
        if len(times) < 2 or len(known) < len(self.rows) or not _monotone([each.ratio.value for each in times]):
            return None
        first, last = times[0], times[-1]
        ends = [first.ratio, last.ratio]
        apart = max(each.low for each in ends) > min(each.high for each in ends)
        values = first.ratio.value, last.ratio.value
        if not apart or max(values) / min(values) <= max(first.floor, last.floor):
            return None
        work = [row.measured.value("nfe_backward") / row.compared_with.value("nfe_forward") for row in known]
        calls = [row.measured.value("nfe_backward") for row in known]
        return _trend(values, (work[0], work[-1]), (calls[0], calls[-1]))

    @property
    def trend_of_bytes(self) -> Trend | None:
        """The trend of the peak memory; None if it is not monotone or fixed."""
        return bytes_trend([row.measured for row in self.rows])


@dataclass(frozen=True)
class Along:
    """The choices of a setting along one axis, with all other axes held at their middle."""

    title: str
    axis: str  # a name in ALONG, or that of an option
    held: tuple[str, ...]
    series: tuple[Series, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        """The places of all series, in the order of the axis."""
        every = {place for each in self.series for place in each.places}
        return tuple(sorted(every, reverse=self.axis == "step"))


def axes_of(cells: Sequence[MeasuredCell]) -> list[str]:
    """The axes along which cells may be followed: those of ALONG, and options with several numbers as values."""
    values: dict[str, set[float]] = {}
    for each in cells:
        for name, value in each.cell.option_values.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(name, set()).add(value)
    return [*ALONG, *(name for name, numbers in values.items() if len(numbers) > 1)]


def along(cells: Sequence[MeasuredCell], axis: str, rows: Sequence[ModeRow]) -> list[Along]:
    """The choices of each setting along the axis that were measured at two places or more."""
    fields = [name for name in SETTINGS if name not in ("horizon", "n_outputs", axis)]
    by_key = {row.measured.key: row for row in rows}
    found = []
    for title, group in settings(_apart_from(axis, cells), fields).items():
        held = {name: middle(group, place) for name, place in AXES.items() if name != axis}
        at = [each for each in group if all(AXES[name](each) == place for name, place in held.items())]
        series = _series([each for each in at if each.key in by_key], axis, by_key)
        if series:
            found.append(Along(title, axis, tuple(said for _, said in held.values()), tuple(series)))
    return found


def _apart_from(axis: str, cells: Sequence[MeasuredCell]) -> list[MeasuredCell]:
    """The cells without the option that is the axis, of those that have it; all cells along another axis."""
    if axis in ALONG:
        return list(cells)
    return [
        replace(each, cell=replace(each.cell, options=canonical(left)))
        for each in cells
        if axis in each.cell.option_values
        for left in [{name: value for name, value in each.cell.option_values.items() if name != axis}]
    ]


def _place(axis: str, measured: MeasuredCell) -> Place:
    if axis in ALONG:
        return ALONG[axis](measured)
    value = measured.cell.option_values[axis]
    return float(str(value)), f"{axis.partition('.')[2]}{text.TIGHT}={text.TIGHT}{value}"


def _series(cells: Sequence[MeasuredCell], axis: str, rows: Mapping[str, ModeRow]) -> list[Series]:
    """The series of two places or more: by rising value, of the step from coarse to fine."""
    found = []
    for configuration, group in grouped(cells, Configuration.of).items():
        placed = sorted(((_place(axis, rows[each.key].measured), each.key) for each in group), reverse=axis == "step")
        places = tuple(place for place, _ in placed)
        if len(set(places)) == len(places) > 1:
            found.append(Series(configuration, places, tuple(rows[key] for _, key in placed)))
    return found


def bytes_trend(cells: Sequence[MeasuredCell]) -> Trend | None:
    """The trend of the peak memory of these cells, in the order of the axis; None if it is fixed or not monotone."""
    values = [each.value("peak_bytes") for each in cells]
    if not all(0 < each < math.inf for each in values) or not _monotone(values) or fixed(values):
        return None
    calls = [each.value("nfe_forward") for each in cells]
    return _trend((values[0], values[-1]), (calls[0], calls[-1]), (calls[0], calls[-1]))


def fixed(values: Sequence[float]) -> bool:
    """Whether these positive numbers are nearly the same."""
    return max(values) < FIXED * min(values)


def _trend(ends: tuple[float, float], work: tuple[float, float], count: tuple[float, float]) -> Trend:
    """The trend between these ends, with the count that explains it if the work changes as it does."""
    if not all(0 < each < math.inf for each in (*work, *count)):
        return Trend(*ends, None)
    share = math.log(work[1] / work[0]) / math.log(ends[1] / ends[0])
    return Trend(*ends, count if share >= EXPLAINS and count[0] != count[1] else None)


def _sign(time: Comparison | None) -> int:
    if time is None or not time.differs:
        return 0
    return 1 if time.ratio.value > 1 else -1


def _monotone(values: Sequence[float]) -> bool:
    steps = [other - one for one, other in pairwise(values)]
    return all(step >= 0 for step in steps) or all(step <= 0 for step in steps)

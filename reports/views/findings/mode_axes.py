"""The answers on gradient modes along an axis: a crossover, or a trend with the count that explains it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell
from reports.views.findings.axes import Place
from reports.views.findings.configuration import Configuration, mode, names
from reports.views.findings.modes import CLOCK, ModeRow
from reports.views.findings.series import Along, Crossover, Series, Trend, bytes_trend, fixed
from reports.views.parts.answer import CHOICE, NFE, VERDICT, Answer, Scale, fitting
from reports.views.parts.table import Column, Value, number, tabulate, words
from results import format as text
from results.metrics import METRICS

COMPARED = "compared with"
RATIO = "time of a solve with its gradient, over that of the mode compared with"
PEAK = METRICS["peak_bytes"].meaning
GROWS: Mapping[str, str] = {
    "step": "the steps get finer",
    "horizon": "the end time grows",
    "n_outputs": "more outputs are asked for",
    "batch_size": "the batch grows",
}
TELLING = 1.5  # memory that grows by less along an axis decides nothing
CAUSES: Mapping[tuple[str, str, str], str] = {  # by backend, mode and axis: docs/peers.md
    ("torchdiffeq", "adjoint", "n_outputs"): "restarts at each output",
}


@dataclass(frozen=True)
class Line:
    """A row of the table: a choice at the places of an axis; the one compared with has no series."""

    name: str
    cells: Mapping[Place, MeasuredCell]
    rows: Mapping[Place, ModeRow]
    series: Series | None

    @property
    def hue(self) -> str:
        """The gradient mode, which gives the colour."""
        return next(iter(self.cells.values())).cell.gradient

    def values(self, name: str) -> list[float]:
        """The metric at all places, in the order of the axis."""
        return [each.value(name) for each in self.cells.values()]


def lines_of(along: Along) -> list[Line]:
    """The rows of the table: each choice that is compared with, and those that are compared with it."""
    bases: dict[Configuration, dict[Place, MeasuredCell]] = {}
    for series in along.series:
        for place, row in zip(series.places, series.rows, strict=True):
            bases.setdefault(Configuration.of(row.compared_with), {})[place] = row.compared_with
    named = names([*bases, *(each.configuration for each in along.series)])
    lines = []
    for base, cells in bases.items():
        ordered = {place: cells[place] for place in along.places if place in cells}
        lines.append(Line(named[base], ordered, {}, None))
        for each in along.series:
            if Configuration.of(each.rows[0].compared_with) == base:
                rows = dict(zip(each.places, each.rows, strict=True))
                own = {place: row.measured for place, row in rows.items()}
                lines.append(Line(named[each.configuration], own, rows, each))
    return lines


def time_answer(along: Along) -> Answer | None:
    """The answer on times along the axis; None if no order changes and nothing rises or falls."""
    lines = lines_of(along)
    compared = [(each, each.series) for each in lines if each.series]
    crossed = [_quicker(line, found) for line, each in compared if (found := each.crossover(each.order_of_times))]
    trends = [(line, trend) for line, each in compared if (trend := each.trend_of_times)]
    trends.sort(key=lambda line_and_trend: -line_and_trend[1].strength)
    said = [*crossed, *(_changing(line, trend, along.axis) for line, trend in trends)]
    if not said:
        return None
    scale = Scale.of(row.time.ratio for each in lines for row in each.rows.values() if row.time)
    columns = [_at(place, lambda line, at: _time(line, at, scale), RATIO) for place in along.places]
    question = f"{along.title}: how does the time of a gradient change as {_grows(along.axis)}?"
    return _answer(along, question, said, lines, [*columns, _calls("nfe_backward"), Column(VERDICT, _time_verdict)])


def memory_answer(along: Along) -> Answer | None:
    """The answer on memory along the axis; None if no order changes and nothing rises or falls."""
    lines = [each for each in lines_of(along) if all(value > 0 for value in each.values("peak_bytes"))]
    compared = [(each, each.series) for each in lines if each.series]
    crossed = [_leaner(line, found) for line, each in compared if (found := each.crossover(each.order_of_bytes))]
    steady = [line for line, each in compared if abs(sum(each.order_of_bytes)) == len(each.rows)]
    steady.sort(key=lambda line: (-_growth_of_base(line), line.values("peak_bytes")[-1]))
    telling = any(_growth(each.values("peak_bytes")) >= TELLING for each in lines)
    if not crossed and not (steady and telling):
        return None
    said = [*crossed, *(_steady(line) for line in steady)]
    columns = [_at(place, _bytes, PEAK) for place in along.places]
    question = f"{along.title}: which mode saves memory as {_grows(along.axis)}?"
    return _answer(along, question, said, lines, [*columns, _calls("nfe_forward"), Column(VERDICT, _memory_verdict)])


def _answer(
    along: Along, question: str, said: Sequence[str], lines: Sequence[Line], columns: Sequence[Column[Line]]
) -> Answer:
    choice = Column[Line](CHOICE, lambda line: words(line.name, hue=line.hue))
    held = f"Held at {', '.join(along.held)}."
    return Answer(question, said[0], tabulate(question, [choice, *columns], lines), (held, *said[1:]))


def _grows(axis: str) -> str:
    return GROWS.get(axis, f"{axis} grows")


def _quicker(line: Line, found: Crossover) -> str:
    own, base = _values(line, found.place, CLOCK)
    word = "quicker" if found.less else "slower"
    where = f"{line.name} is {word} than {_base(line)} from {found.place[1]}"
    return fitting(f"{where}: {text.seconds(own)} against {text.seconds(base)}")


def _changing(line: Line, trend: Trend, axis: str) -> str:
    """The sentence on a ratio of times that rises or falls, with its cause where that is known, and the count."""
    first, *_, last = line.rows
    cell = line.rows[first].measured.cell
    cause = CAUSES.get((cell.backend, cell.gradient, axis)) if trend.count else None
    who = f"{cell.backend}'s {mode(cell)} {cause}:" if cause else f"{line.name} takes"
    start = _short(first) if cause else first[1]
    end = _short(last) if axis == "n_outputs" else last[1]
    ends = f"{text.factor(trend.first)} times {_base(line)}'s time at {start}, {text.factor(trend.last)} at {end}"
    count = f"NFE back {text.count(trend.count[0])} to {text.count(trend.count[1])}" if trend.count else ""
    return fitting(f"{who} {ends}", count)


def _short(place: Place) -> str:
    return text.tolerance(place[0])


def _leaner(line: Line, found: Crossover) -> str:
    own, base = _values(line, found.place, "peak_bytes")
    word = "saves memory" if found.less else "needs more memory"
    return fitting(
        f"{line.name} {word} from {found.place[1]}: {text.size(own)} against {_base(line)}'s {text.size(base)}"
    )


def _steady(line: Line) -> str:
    """The sentence on a choice that needs less, or more, memory at each place."""
    own = line.values("peak_bytes")
    base = [row.compared_with.value("peak_bytes") for row in line.rows.values()]
    if own[-1] > base[-1]:
        place = list(line.rows)[-1][1]
        return fitting(f"{line.name} saves no memory up to {place}: {text.size(own[-1])} against {text.size(base[-1])}")
    trend = bytes_trend([row.compared_with for row in line.rows.values()])
    count = f"NFE {text.count(trend.count[0])} to {text.count(trend.count[1])}" if trend and trend.count else ""
    return fitting(f"{line.name} needs {_span(own)}, {_base(line)} {_span(base)}", count)


def _growth(values: Sequence[float]) -> float:
    return max(values) / min(values)


def _growth_of_base(line: Line) -> float:
    return _growth([row.compared_with.value("peak_bytes") for row in line.rows.values()])


def _span(values: Sequence[float]) -> str:
    if fixed(values):
        return f"{text.size(max(values))} throughout"
    return f"{text.size(values[0])} to {text.size(values[-1])}"


def _base(line: Line) -> str:
    return next(iter(line.rows.values())).compared_with.cell.gradient


def _values(line: Line, place: Place, name: str) -> tuple[float, float]:
    row = line.rows[place]
    return row.measured.value(name), row.compared_with.value(name)


def _time(line: Line, place: Place, scale: Scale) -> Value:
    """The ratio of times with its interval drawn; of the choice compared with 1 and its seconds."""
    if place not in line.cells:
        return Value(text.MISSING, None)
    seconds = text.seconds(line.cells[place].value(CLOCK))
    if line.series is None:
        return scale.one(note=seconds)
    row = line.rows[place]
    if row.time is None:
        return Value(text.MISSING, None)
    return scale.value(row.time.ratio, note=seconds, quiet=not row.time.differs)


def _bytes(line: Line, place: Place) -> Value:
    return number(line.cells[place].value("peak_bytes") if place in line.cells else None, text.size)


def _at(place: Place, show: Callable[[Line, Place], Value], title: str) -> Column[Line]:
    return Column(place[1].replace(", ", "\n"), lambda line: show(line, place), True, title)


def _calls(name: str) -> Column[Line]:
    def show(line: Line) -> Value:
        known = [value for value in line.values(name) if value == value]
        ends = dict.fromkeys(map(text.count, (known[0], known[-1]))) if known else {}
        return Value(" to ".join(ends) or text.MISSING, known[-1] if known else None)

    return Column(NFE, show, True, f"{METRICS[name].meaning}, at both ends")


def _time_verdict(line: Line) -> Value:
    if line.series is None:
        return words(COMPARED)
    if any(row.time is not None and row.time.few_processes for row in line.rows.values()):
        return words(text.TOO_FEW)
    trend = line.series.trend_of_times
    change = (
        f"{trend.word} {text.factor(max(trend.first, trend.last) / min(trend.first, trend.last))}×" if trend else ""
    )
    order = line.series.order_of_times
    return words(", ".join(filter(None, (_order(line.series, order, "quicker", "slower"), change))))


def _memory_verdict(line: Line) -> Value:
    if line.series is None:
        return words(COMPARED)
    change = "fixed" if fixed(line.values("peak_bytes")) else ""
    order = line.series.order_of_bytes
    return words(", ".join(filter(None, (_order(line.series, order, "less", "more"), change))))


def _order(series: Series, order: Sequence[int], less: str, more: str) -> str:
    """The order along the axis in words: less, more, less from a place on, in turn, no difference."""
    if found := series.crossover(order):
        return f"{less if found.less else more} from {found.place[1]}"
    signs = {sign for sign in order if sign}
    if len(signs) == 2:
        return "in turn"
    if not signs:
        return "no difference"
    word = less if signs == {-1} else more
    n = sum(map(bool, order))
    return word if n == len(order) else f"{word} in {n} of {len(order)}"

"""The one place where a number becomes text, and a text of any origin a line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from results.metrics import Metric
    from results.statistics.ratio import Ratio

Form: TypeAlias = Callable[[float], str]

MISSING = "–"
THIN = "\N{NARROW NO-BREAK SPACE}"  # separates thousands
TIGHT = "\N{NO-BREAK SPACE}"  # keeps a number and its unit on one line
BY_PERCENT = 1.1  # a ratio below is told as a percentage: 1.0 times would be no difference
TOO_FEW = "too few processes"  # in place of an interval or a noise floor that says nothing


def seconds(value: float) -> str:
    """A time in three significant digits in the unit that fits: 12.3 ms."""
    return _scaled(value, [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")])


def size(value: float) -> str:
    """A number of bytes in three significant digits, in powers of 1024: 1.50 MiB."""
    return _scaled(value, [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")])


def duration(value: float) -> str:
    """A time that a person waits: 45 s, 12 min, 3 h 5 min."""
    if not math.isfinite(value):
        return _not_finite(value)
    minutes = round(value / 60)
    if value < 120:
        return f"{value:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(value: float) -> str:
    """A count, with thin spaces between thousands; a median of counts may end in a half."""
    if not math.isfinite(value):
        return _not_finite(value)
    text = f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
    return text.replace(",", THIN)


def error(value: float) -> str:
    """An error in two significant digits: 1.2e-05; an exact zero is 0."""
    return "0" if value == 0 else _finite(value, ".1e")


def tolerance(value: float) -> str:
    """A tolerance or a step, as a sweep writes it: 1e-05, 0.125."""
    return _finite(value, "g")


def number(value: float) -> str:
    """Any other number in three significant digits."""
    if value == 0 or not 1e-3 <= abs(value) < 1e5:
        return _finite(value, ".3g")
    return _digits(value)


def order(value: float) -> str:
    """An observed order of convergence: 3.98."""
    return _finite(value, ".2f")


def times(value: float) -> str:
    """A ratio: 2.31×."""
    return f"{_digits(value)}×" if math.isfinite(value) else _not_finite(value)


def factor(value: float) -> str:
    """A ratio in a sentence, in two significant digits: 4.0, 120 000."""
    return _digits(float(f"{value:.2g}"), 2)


def span(values: Sequence[float], form: Form) -> str:
    """Several numbers by the least and the greatest of them, as in 2.5 to 4.3; one if they are printed alike."""
    numbers = [value for value in values if not math.isnan(value)]
    return " to ".join(dict.fromkeys(form(end) for end in (min(numbers), max(numbers)))) if numbers else MISSING


def as_long(value: float) -> str:
    """A ratio of times in a sentence: 4.0 times as long, 3.1 % longer."""
    return f"{percent(value - 1)} longer" if 1 < value < BY_PERCENT else f"{factor(value)} times as long"


def slower(value: float) -> str:
    """A ratio of times, at least 1, as a verdict: 2.0× slower, 3.1 % slower."""
    return f"{percent(value - 1)} slower" if value < BY_PERCENT else f"{factor(value)}× slower"


def ratio(value: Ratio | None) -> str:
    """A ratio with its interval: 2.31× [2.20, 2.44]."""
    if value is None:
        return MISSING
    between = ", " if value.few_processes else TIGHT
    return f"{times(value.value)}{between}{interval(value)}"


def interval(value: Ratio) -> str:
    """The interval of a ratio: [2.20, 2.44]."""
    return TOO_FEW if value.few_processes else f"[{_digits(value.low)},{TIGHT}{_digits(value.high)}]"


def percent(share: float) -> str:
    """A percentage in two significant digits: 2.0 %, 150 %."""
    return f"{_digits(100 * share, 2)}{TIGHT}%" if math.isfinite(share) else _not_finite(share)


def within(value: Ratio) -> str:
    """The half-width of a ratio's interval: ±2.1 %."""
    return TOO_FEW if value.few_processes else f"±{percent(math.expm1(value.half_width))}"


def of_metric(value: float, metric: Metric) -> str:
    """A metric's value with its unit: 12.3 ms, 1.50 MiB, 124 calls."""
    form = _OF_UNIT.get(metric.unit, error if metric.unit == "1" and metric.less_is_better else number)
    named = f"{TIGHT}{metric.unit}" if metric.unit in ("calls", "products", "MHz") and math.isfinite(value) else ""
    return f"{form(value)}{named}"


def tick(text: str) -> str:
    """A number's text without the zeros that only show its precision: 1.00 ms is 1 ms."""
    return re.sub(r"\.(?!\d)", "", re.sub(r"(\.\d*?)0+(?!\d)", r"\1", text))


def apart(one: float, other: float, form: Form) -> tuple[str, str]:
    """Two numbers as texts of one form; with more digits, if the form would show different numbers alike."""
    said = form(one), form(other)
    if said[0] != said[1] or one == other or math.isnan(one) or math.isnan(other):
        return said
    digits = next((n for n in range(3, 17) if f"{one:.{n}g}" != f"{other:.{n}g}"), 17)
    return f"{one:.{digits}g}", f"{other:.{digits}g}"


def date(seconds: float) -> str:
    """A moment since the epoch, in UTC to the minute; as a plain number if the calendar does not reach it."""
    return _moment(seconds, "%Y-%m-%d %H:%M UTC")


def day(seconds: float) -> str:
    """The day of a moment since the epoch, in UTC; the moment as a plain number if the calendar does not reach it."""
    return _moment(seconds, "%Y-%m-%d")


def change(share: float) -> str:
    """A change as a percentage with its sign: +5.2 %, −12 %."""
    return f"{'−' if share < 0 else '+'}{percent(abs(share))}" if math.isfinite(share) else _not_finite(share)


def plural(value: int, noun: str) -> str:
    """A number of things: 1 cell, 17 cells."""
    return f"{count(value)} {noun}" if value == 1 else f"{count(value)} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


_OF_UNIT = {"s": seconds, "bytes": size, "calls": count, "products": count, "state": error}


def _moment(seconds: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, OSError, ValueError):  # a clock may be wrong
        return f"{seconds:g} s"


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    # The rounded number decides on the unit: 999.9 ms is 1.00 s.
    scaled = ((float(f"{value / scale:.3g}"), scale, unit) for scale, unit in units)
    scale, unit = next(((scale, unit) for shown, scale, unit in scaled if abs(shown) >= 1), units[-1])
    return f"{_digits(value / scale)}{TIGHT}{unit}"


def _digits(value: float, significant: int = 3) -> str:
    """A number in `significant` digits without an exponent; no digit before the point is dropped: 1 234."""
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    decimals = significant - 1 - math.floor(math.log10(abs(float(f"{value:.{significant}g}"))))
    return f"{value:,.{max(decimals, 0)}f}".replace(",", THIN)


def _finite(value: float, spec: str) -> str:
    return f"{value:{spec}}" if math.isfinite(value) else _not_finite(value)


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return MISSING
    return "∞" if value > 0 else "−∞"

"""Small charts of histories: where a template draws their points, lines and marks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from results.read.history import Series

WIDTH, HEIGHT = 640, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 632, 22, 128


@dataclass(frozen=True)
class Dot:
    """A point of the series: its place in the chart."""

    x: float
    y: float
    index: int
    after_change: bool


@dataclass(frozen=True)
class Level:
    """A level between two changes: a horizontal line."""

    x1: float
    x2: float
    y: float


@dataclass(frozen=True)
class Chart:
    """A chart of a series, in a picture of WIDTH by HEIGHT units."""

    dots: tuple[Dot, ...]
    levels: tuple[Level, ...]
    line: str  # the points of the polyline through all dots
    greatest: str  # the values at the upper and lower end of the axis
    least: str
    width: int = WIDTH
    height: int = HEIGHT


def chart(series: Series, form: Callable[[float], str]) -> Chart:
    """The chart of a series; an infinite value is drawn at the edge."""
    values = [point.value for point in series.points]
    finite = [value for value in values if isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    places = {change.index for change in series.changes}
    xs = [_LEFT + (_RIGHT - _LEFT) * (index + 0.5) / len(values) for index in range(len(values))]
    ys = [_height(value, low, high) for value in values]
    dots = [Dot(round(x, 1), y, i, i in places) for i, (x, y) in enumerate(zip(xs, ys, strict=True))]
    line = " ".join(f"{dot.x},{dot.y}" for dot in dots)
    return Chart(tuple(dots), tuple(_levels(series, xs, low, high)), line, form(high), form(low))


def _levels(series: Series, xs: Sequence[float], low: float, high: float) -> list[Level]:
    if not series.changes:
        return []
    half = (_RIGHT - _LEFT) / len(xs) / 2
    bounds = [0, *(change.index for change in series.changes), len(xs)]
    levels = [series.changes[0].before, *(change.after for change in series.changes)]
    return [
        Level(round(xs[start] - half, 1), round(xs[end - 1] + half, 1), _height(level, low, high))
        for (start, end), level in zip(pairwise(bounds), levels, strict=True)
    ]


def _height(value: float, low: float, high: float) -> float:
    """The place of a value on the vertical axis, which SVG counts downwards."""
    if high == low:
        share = 0.5 if value == low else float(value > low)
    else:
        share = min(1.0, max(0.0, value / (high - low) - low / (high - low)))
    return round(_BOTTOM - (_BOTTOM - _TOP) * share, 1)

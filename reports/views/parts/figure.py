"""Figures before they are drawn: panels of lines, and the meaning of their colours and strokes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from results import format as text


@dataclass(frozen=True)
class Axis:
    """An axis of a panel."""

    label: str
    form: text.Form = text.number
    log: bool = True
    ticks: tuple[float, ...] = ()  # empty: chosen by the range
    base: float = 10  # ticks are round in powers of it
    reversed: bool = False


@dataclass(frozen=True)
class Line:
    """A line through points, in the order in which they are joined."""

    hue: str  # the name that gives the colour: a solver or a gradient mode
    style: str  # the name that gives stroke and marker: a backend; empty: a plain line
    points: tuple[tuple[float, float], ...]
    label: str = ""  # written at the line's end
    width: float = 1.5
    band: tuple[tuple[float, float], ...] = ()  # least and greatest y at each point; empty: no band


@dataclass(frozen=True)
class Panel:
    """A pair of axes with lines."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    square: bool = False  # for a phase plane: x and y have the same scale
    markers: bool = True
    name: str = ""  # stays the same where the title states a result; empty: the title


@dataclass(frozen=True)
class Figure:
    """A figure: panels under one legend."""

    caption: str
    panels: tuple[Panel, ...]

    @property
    def hues(self) -> tuple[str, ...]:
        """The names that the legend's colours stand for, in the order of appearance."""
        return tuple(dict.fromkeys(line.hue for panel in self.panels for line in panel.lines))

    @property
    def styles(self) -> tuple[str, ...]:
        """The names that the legend's strokes stand for, in the order of appearance."""
        return tuple(dict.fromkeys(line.style for panel in self.panels for line in panel.lines if line.style))


def figures(caption: str, panels: Iterable[Panel]) -> tuple[Figure, ...]:
    """The figure of the panels that have lines; no figure if no panel has any."""
    shown = tuple(panel for panel in panels if panel.lines)
    return (Figure(caption, shown),) if shown else ()


def drawable(lines: Iterable[Line], x: Axis, y: Axis) -> tuple[Line, ...]:
    """The lines' points that have a place on the axes: finite, and positive where the axis is logarithmic."""
    clipped = (_clipped(line, x, y) for line in lines)
    return tuple(line for line in clipped if line.points)


def _clipped(line: Line, x: Axis, y: Axis) -> Line:
    """The line without the points that have no place on the axes, and without their parts of the band."""
    band = line.band or [(at, at) for _, at in line.points]
    kept = [
        (point, span)
        for point, span in zip(line.points, band, strict=True)
        if _on(point[0], x) and all(_on(value, y) for value in (point[1], *span))
    ]
    return replace(line, points=tuple(p for p, _ in kept), band=tuple(s for _, s in kept) if line.band else ())


def _on(value: float, axis: Axis) -> bool:
    return math.isfinite(value) and (value > 0 or not axis.log)

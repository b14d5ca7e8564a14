"""The figures of training: learned trajectories, and loss and NFE as training goes on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reports.measured import MeasuredCell, measured_of
from reports.views.findings import trained as of
from reports.views.findings.configuration import grouped, settings
from reports.views.findings.trained import SETTING, Curve, Trained, optimiser
from reports.views.parts.figure import Axis, Line, Panel, drawable
from results import format as text
from results.statistics.ratio import running_median
from results.statistics.training import Band

TRUTH, TARGET = "truth", "target"  # hues of what is to be learned, and of the loss that is raced to
LOSS = Axis("loss", text.number)
WHOLE = Axis("loss on the whole trajectory", text.number)
CALLS = Axis("NFE, forward", text.count, log=False)
BACKWARD = Axis("NFE, backward", text.count, log=False)
ITERATION = Axis("iteration", text.count, log=False)
SECONDS = Axis("time of training", text.seconds, log=False)
Y1, Y2 = Axis("y₁", log=False), Axis("y₂", log=False)


@dataclass(frozen=True)
class Course:
    """A curve of training with its axes."""

    x: Axis
    y: Axis
    curve: Callable[[MeasuredCell], Curve | None]
    smooth: bool = False  # draw the running median


BATCHES = (Course(ITERATION, LOSS, of.batch_loss, smooth=True),)
TRAJECTORY = (Course(ITERATION, WHOLE, of.whole), Course(SECONDS, WHOLE, of.whole_seconds))
NFE = (Course(ITERATION, CALLS, of.calls), Course(ITERATION, BACKWARD, of.backward_calls))


def course_panels(choices: dict[str, list[Trained]], courses: Sequence[Course]) -> list[Panel]:
    """A panel of each course for each setting, gradient mode and optimiser."""
    return [
        _course_panel(", ".join(filter(None, (setting, mode, way))), course, group, target=of.target_of(alike))
        for setting, alike in choices.items()
        for (mode, way), group in _by_mode(alike).items()
        for course in courses
    ]


def _by_mode(choices: Sequence[Trained]) -> dict[tuple[str, str], list[Trained]]:
    groups: dict[tuple[str, str], list[Trained]] = {}
    for each in choices:
        groups.setdefault((each.cell.gradient, optimiser(each.cell)), []).append(each)
    return groups


def _course_panel(title: str, course: Course, choices: Sequence[Trained], *, target: float | None) -> Panel:
    lines = course_lines(course, choices)
    if target is not None and course.y is WHOLE and lines:
        last = max(line.points[-1][0] for line in lines)
        lines.append(Line(TARGET, "", ((0.0, target), (last, target)), width=1.0))
    return Panel(title, course.x, course.y, drawable(lines, course.x, course.y), markers=False)


def course_lines(course: Course, choices: Sequence[Trained]) -> list[Line]:
    """A line with its seeds' band for the best of each solver and backend: the smallest median of the final loss."""
    best: dict[tuple[str, str], Trained] = {}
    for each in sorted(choices, key=lambda each: (np.isnan(each.final_loss.median), each.final_loss.median)):
        best.setdefault((each.cell.solver, each.cell.backend), each)
    lines = ((each, each.curves(course.curve)) for each in choices if each in best.values())
    return [_line(each.cell.solver, each.cell.backend, curves, course.smooth) for each, curves in lines if curves]


def _line(hue: str, style: str, curves: Sequence[Curve], smooth: bool) -> Line:
    drawn = [(x, np.array(running_median(y))) for x, y in curves] if smooth else curves
    band = Band.of(drawn)
    points = tuple(zip(band.x.tolist(), band.median.tolist(), strict=True))
    spread = tuple(zip(band.low.tolist(), band.high.tolist(), strict=True)) if len(curves) > 1 else ()
    return Line(hue, style, points, band=spread)


def phase_panels(cells: Sequence[MeasuredCell]) -> list[Panel]:
    """The phase plane of each solver's best cell."""
    drawn = [
        each
        for each in measured_of(cells, "final_loss")
        if {"trajectory_true", "trajectory_learned"} <= each.curves.keys()
    ]
    by_setting = settings(drawn, SETTING)
    return [
        _phase_panel(f"{solver}, {title}" if len(by_setting) > 1 else solver, group)
        for title, setting in by_setting.items()
        for solver, group in grouped(setting, lambda each: each.cell.solver).items()
    ]


def _phase_panel(title: str, cells: Sequence[MeasuredCell]) -> Panel:
    best = min(cells, key=lambda each: each.value("final_loss"))
    lines = [
        Line(TRUTH, "", _plane(best.curves["trajectory_true"][1]), width=4.0),
        Line(best.cell.solver, "", _plane(best.curves["trajectory_learned"][1])),
    ]
    how = ", ".join(filter(None, (best.cell.backend, best.cell.gradient, optimiser(best.cell))))
    said = f"{title}: {how}, loss {text.number(best.value('final_loss'))}"
    return Panel(said, Y1, Y2, drawable(lines, Y1, Y2), square=True, markers=False)


def _plane(states: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The first two components of a trajectory; nothing if the state has only one."""
    return tuple((row[0], row[1]) for row in states.tolist()) if states.shape[1] > 1 else ()

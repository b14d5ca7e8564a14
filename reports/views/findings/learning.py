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

TRUTH, TARGET = "truth", "target"  # hues of the true trajectory and of the target loss
LOSS = Axis("loss", text.number)
WHOLE = Axis("loss on the whole trajectory", text.number)
CALLS = Axis("NFE, forward", text.count, log=False)
BACKWARD = Axis("NFE, backward", text.count, log=False)
ITERATION = Axis("iteration", text.count, log=False)
SECONDS = Axis("time of training", text.seconds, log=False)
Y1, Y2 = Axis("y₁", log=False), Axis("y₂", log=False)


@dataclass(frozen=True)
class TrainingCurve:
    """A kind of training curve, with its axes."""

    x: Axis
    y: Axis
    curve: Callable[[MeasuredCell], Curve | None]
    smooth: bool = False  # draw the running median


BATCHES = (TrainingCurve(ITERATION, LOSS, of.batch_loss, smooth=True),)
TRAJECTORY = (TrainingCurve(ITERATION, WHOLE, of.whole), TrainingCurve(SECONDS, WHOLE, of.whole_seconds))
NFE = (TrainingCurve(ITERATION, CALLS, of.calls), TrainingCurve(ITERATION, BACKWARD, of.backward_calls))


def training_panels(choices: dict[str, list[Trained]], kinds: Sequence[TrainingCurve]) -> list[Panel]:
    """The panels of these curves, for each setting, gradient mode and optimiser."""
    return [
        _training_panel(", ".join(filter(None, (setting, mode, trained_by))), kind, group, target=of.target_of(alike))
        for setting, alike in choices.items()
        for (mode, trained_by), group in _by_mode(alike).items()
        for kind in kinds
    ]


def _by_mode(choices: Sequence[Trained]) -> dict[tuple[str, str], list[Trained]]:
    groups: dict[tuple[str, str], list[Trained]] = {}
    for each in choices:
        groups.setdefault((each.cell.gradient, optimiser(each.cell)), []).append(each)
    return groups


def _training_panel(title: str, kind: TrainingCurve, choices: Sequence[Trained], *, target: float | None) -> Panel:
    lines = training_lines(kind, choices)
    if target is not None and kind.y is WHOLE and lines:
        last = max(line.points[-1][0] for line in lines)
        lines.append(Line(TARGET, "", ((0.0, target), (last, target)), width=1.0))
    return Panel(title, kind.x, kind.y, drawable(lines, kind.x, kind.y), markers=False)


def training_lines(kind: TrainingCurve, choices: Sequence[Trained]) -> list[Line]:
    """The line of the best choice of each solver and backend, by the median final loss, with its seeds' band."""
    best: dict[tuple[str, str], Trained] = {}
    for each in sorted(choices, key=lambda each: (np.isnan(each.final_loss.median), each.final_loss.median)):
        best.setdefault((each.cell.solver, each.cell.backend), each)
    lines = ((each, each.curves(kind.curve)) for each in choices if each in best.values())
    return [_line(each.cell.solver, each.cell.backend, curves, kind.smooth) for each, curves in lines if curves]


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
    return Panel(said, Y1, Y2, drawable(lines, Y1, Y2), square=True, markers=False, name=title)


def _plane(states: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The first two components of a trajectory; nothing if the state has only one."""
    return tuple((row[0], row[1]) for row in states.tolist()) if states.shape[1] > 1 else ()

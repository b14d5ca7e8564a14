"""Study `spiral`: a network trained to a spiral, solver by solver."""

from collections.abc import Sequence

import numpy as np

from reports import format as text
from reports.measured import MeasuredCell, measured_of
from reports.statistics import running_median
from reports.views import columns
from reports.views.choice import Choice, grouped, settings, step
from reports.views.comparison import NO_WINNER, library_finding
from reports.views.figure import Axis, Line, Panel, drawable, figures
from reports.views.modes import mode_finding, mode_rows
from reports.views.section import Finding, Section
from reports.views.table import tabulate

TITLE = "Training on the spiral"
QUESTION = "Which solver and gradient mode train a Neural ODE to a small loss in the least time?"
READING = (
    "The phase planes show the true trajectory (grey) and the one learned by each solver's best cell. In the loss "
    "figures a line further down has learned more: the same iterations on the left, the same seconds on the right."
)
TRUTH = "truth"  # the hue of what is to be learned
CLOSE = 2.0  # losses within this factor of the best differ by the chance of a seed
LOSS = Axis("loss", text.number)
ITERATION = Axis("iteration", text.count, log=False)
SECONDS = Axis("time of training", text.seconds, log=False)
Y1, Y2 = Axis("y₁", log=False), Axis("y₂", log=False)
COLUMNS = (
    columns.SOLVER,
    columns.BACKEND,
    columns.GRADIENT,
    columns.STEP,
    columns.FINAL_LOSS,
    columns.TRAIN,
    columns.metric("NFE\nfirst", "nfe_start", text.count),
    columns.metric("NFE\nlast", "nfe_end", text.count),
    columns.FORWARD,
    columns.GRADIENT_TIME,
    columns.MEMORY,
    columns.KEY,
)


def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The study's section; the cells are those with a number."""
    findings = [
        *(finding for title, group in settings(cells).items() for finding in loss_findings(title, group)),
        mode_finding("gradient mode", mode_rows(cells), lambda row: row.time_ratio),
        library_finding(cells, "gradient_s"),
    ]
    return Section(
        study,
        TITLE,
        QUESTION,
        findings=tuple(finding for finding in findings if finding),
        reading=READING,
        figures=(
            *figures("True and learned trajectories", phase_panels(cells)),
            *figures("Loss while training (running median)", loss_panels(cells)),
        ),
        tables=tuple(tabulate(title, COLUMNS, group) for title, group in settings(cells).items()),
    )


def loss_findings(subject: str, cells: Sequence[MeasuredCell]) -> list[Finding]:
    """Who came to the smallest loss, and who came as close in the least time."""
    trained = sorted(measured_of(cells, "final_loss"), key=lambda each: each.value("final_loss"))
    if not trained:
        return []
    best = trained[0]
    close = [each for each in trained if each.value("final_loss") <= CLOSE * best.value("final_loss")]
    found = [Finding(f"{subject}: smallest loss", *_smallest(best, close))]
    timed = sorted(measured_of(close, "train_s"), key=lambda each: each.value("train_s"))
    if timed:
        evidence = f"{text.seconds(timed[0].value('train_s'))}, the least of {text.plural(len(timed), 'such cell')}."
        found.append(Finding(f"{subject}: least time", str(Choice.of(timed[0])), evidence))
    return found


def _smallest(best: MeasuredCell, close: Sequence[MeasuredCell]) -> tuple[str, str]:
    """The winner, if there is one, and what it came to."""
    came_to = (
        f"From {text.number(best.value('initial_loss'))} to {text.number(best.value('final_loss'))} in "
        f"{text.plural(best.cell.iterations, 'iteration')} and {text.seconds(best.value('train_s'))} "
        f"({Choice.of(best)}, {step(best.cell)})."
    )
    if len(close) == 1:
        return str(Choice.of(best)), came_to
    alike = f"{text.plural(len(close), 'cell')} within a factor of {CLOSE:g}, which one seed does not tell apart."
    return NO_WINNER, f"{came_to} {alike}"


def phase_panels(cells: Sequence[MeasuredCell]) -> list[Panel]:
    """The phase plane of each solver's best cell."""
    drawn = [
        each
        for each in measured_of(cells, "final_loss")
        if {"trajectory_true", "trajectory_learned"} <= each.curves.keys()
    ]
    return [
        _phase_panel(f"{solver}, {title}" if len(settings(drawn)) > 1 else solver, _best(group))
        for title, setting in settings(drawn).items()
        for solver, group in grouped(setting, lambda each: each.cell.solver).items()
    ]


def _phase_panel(title: str, best: MeasuredCell) -> Panel:
    lines = [
        Line(TRUTH, "", _plane(best.curves["trajectory_true"][1]), width=4.0),
        Line(best.cell.solver, "", _plane(best.curves["trajectory_learned"][1])),
    ]
    said = f"{best.cell.backend}, {best.cell.gradient}, loss {text.number(best.value('final_loss'))}"
    return Panel(f"{title}: {said}", Y1, Y2, drawable(lines, Y1, Y2), square=True, markers=False)


def _plane(states: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The first two components; nothing of a state that has only one."""
    return tuple((row[0], row[1]) for row in states.tolist()) if states.shape[1] > 1 else ()


def loss_panels(cells: Sequence[MeasuredCell]) -> list[Panel]:
    """Loss against iteration and against seconds, for each gradient mode."""
    modes = grouped(cells, lambda each: each.cell.gradient)
    return [
        Panel(title, axis, LOSS, drawable(loss_lines(group, name), axis, LOSS), markers=False)
        for mode, of_mode in modes.items()
        for title, group in {f"{said}, {mode}": each for said, each in settings(of_mode).items()}.items()
        for axis, name in [(ITERATION, "loss"), (SECONDS, "loss_seconds")]
    ]


def loss_lines(cells: Sequence[MeasuredCell], name: str) -> list[Line]:
    """A line for the best cell of each choice."""
    choices = grouped([each for each in cells if name in each.curves], Choice.of)
    return [
        Line(choice.solver, choice.backend, _against_x(_best(group).curves[name])) for choice, group in choices.items()
    ]


def _against_x(curve: tuple[np.ndarray, np.ndarray]) -> tuple[tuple[float, float], ...]:
    x, y = curve
    return tuple(zip(x.tolist(), running_median(y[:, 0]), strict=True))


def _best(cells: Sequence[MeasuredCell]) -> MeasuredCell:
    """The cell with the smallest final loss; one without comes last."""
    return min(cells, key=lambda each: (np.isnan(each.value("final_loss")), each.value("final_loss")))

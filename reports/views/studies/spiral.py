"""Study `spiral`: a network trained on a spiral, over solvers, gradient modes, optimisers and seeds."""

import math
from collections.abc import Sequence

from reports.measured import MeasuredCell
from reports.views.findings.comparison import compare
from reports.views.findings.learning import BATCHES, NFE, TRAJECTORY, phase_panels, training_panels
from reports.views.findings.library import NO_WINNER, library_finding, library_pairs
from reports.views.findings.modes import CLOCK, mode_pairs, mode_rows, time_finding
from reports.views.findings.trained import Trained, optimiser, ranged, target_of, trained
from reports.views.findings.transfer import TRANSFERS, transfer_finding, transfer_table, transfers
from reports.views.parts import columns
from reports.views.parts.figure import figures
from reports.views.parts.section import Finding, Section
from reports.views.parts.table import Column, Table, Value, number, tabulate, words
from reports.views.studies import SECTIONS
from results import format as text
from results.metrics import METRICS
from results.statistics.training import Range

TITLE = "Training on the spiral"
QUESTION = "Which solver, gradient mode and optimiser train a Neural ODE to a small loss in the least time?"
READING = (
    "The phase planes show the true trajectory (grey) and the one learned by each solver's best cell. In the loss "
    "figures a line further down has learned more; a line is the median of the seeds, the band around it their range. "
    "The seconds are those of training alone: the clock stands still while calls are counted or the whole trajectory "
    "is solved. The target is the goal that the sweep states; else the smallest of 1, 2, 5 times a power of ten that "
    "more than half of the choices come to with every seed."
)
SURVIVAL = (
    f"A model survives another solver if its loss is at most {TRANSFERS:g} times that with the solver it was trained "
    "with (Ott et al. 2021). With a finer solver, one that does not has learned the solver's steps and no differential "
    "equation; with a coarser one, it is that solver which errs."
)
CLOSE = 2.0  # losses within this factor of the best may differ only by the seed
CLOSE_TIME = 1.5  # trainings are timed one after the other: equal work was seen to differ by this factor
OVER = ": median and range of the seeds"
TO = " up to that loss on the whole trajectory, ∞ if it is never seen"
Cells = Column[Trained]


@SECTIONS.register(name="spiral", doc=TITLE)
def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The section of the study; `cells` are its cells that have a number."""
    choices = trained(cells)
    survived = {title: transfers(group) for title, group in choices.items()}
    times = compare([*mode_pairs(cells), *library_pairs(cells, CLOCK)], CLOCK)
    findings = [
        *(loss_finding(f"{title}: smallest loss", group) for title, group in choices.items()),
        *(target_finding(title, group) for title, group in choices.items()),
        *(transfer_finding(f"{title}: another solver", rows) for title, rows in survived.items()),
        time_finding("gradient mode", mode_rows(cells, times)),
        library_finding(cells, CLOCK, times),
    ]
    return Section(
        study,
        TITLE,
        QUESTION,
        findings=tuple(finding for finding in findings if finding),
        reading=READING,
        figures=(
            *figures("True and learned trajectories", phase_panels(cells)),
            *figures("Loss on the whole trajectory as training goes on", training_panels(choices, TRAJECTORY)),
            *figures("Loss of the mini-batches (running median)", training_panels(choices, BATCHES)),
            *figures("Calls of the vector field a solve, as training goes on", training_panels(choices, NFE)),
        ),
        tables=(
            *(training_table(title, group) for title, group in choices.items()),
            *(transfer_table(title, rows) for title, rows in survived.items() if rows),
        ),
        notes=(SURVIVAL,) if any(survived.values()) else (),
    )


def loss_finding(subject: str, choices: Sequence[Trained]) -> Finding | None:
    """The finding on the choice with the smallest loss; None if nothing was trained."""
    ranked = sorted(
        (each for each in choices if math.isfinite(each.final_loss.median)), key=lambda each: each.final_loss.median
    )
    if not ranked:
        return None
    best = ranked[0]
    close = [each for each in ranked if _alike(each.final_loss, best.final_loss, CLOSE)]
    came_to = (
        f"From {text.number(best.over('initial_loss').median)} to {_range_text(best.final_loss, text.number)} in "
        f"{text.plural(best.cell.iterations, 'iteration')} and {text.seconds(best.over('train_s').median)} ({best})."
    )
    if len(close) == 1:
        return Finding(subject, _name(best, ranked), came_to)
    return Finding(subject, NO_WINNER, f"{came_to} {_not_told_apart(close, CLOSE)}")


def target_finding(setting: str, choices: Sequence[Trained]) -> Finding | None:
    """The finding on the choice that reached the target loss first; None without a target."""
    target = target_of(choices)
    if target is None:
        return None
    times = {each: each.to(target) for each in choices}
    ranked = sorted((each for each in choices if times[each].median < math.inf), key=lambda each: times[each].median)
    subject = f"{setting}: least time to a loss of {text.tolerance(target)}"
    if not ranked:  # the study's goal is reached by none
        least = min((each.reached() for each in choices if not math.isnan(each.reached())), default=math.nan)
        return Finding(subject, "none comes to it", f"The least that every seed comes to is {text.number(least)}.")
    close = [each for each in ranked if _alike(times[each], times[ranked[0]], CLOSE_TIME)]
    took = f"{_range_text(times[ranked[0]], text.seconds)} of training ({ranked[0]})."
    if len(ranked) < len(choices):
        took += f" {text.plural(len(choices) - len(ranked), 'choice')} of {len(choices)} did not come to it."
    if len(close) == 1:
        return Finding(subject, _name(ranked[0], ranked), took)
    return Finding(subject, NO_WINNER, f"{took} {_not_told_apart(close, CLOSE_TIME)}")


def _alike(one: Range, best: Range, factor: float) -> bool:
    """Whether two choices cannot be told apart: their medians are close, or their seeds' ranges overlap."""
    return one.median <= factor * best.median or one.overlaps(best)


def _not_told_apart(close: Sequence[Trained], factor: float) -> str:
    seeds = "or their seeds' ranges overlap" if any(len(each.seeds) > 1 for each in close) else "of one seed each"
    return f"{text.plural(len(close), 'choice')} not told apart: within a factor of {factor:g}, {seeds}."


def _name(winner: Trained, others: Sequence[Trained]) -> str:
    """The choice in words, with step and optimiser if another choice has the same configuration."""
    same = [each for each in others if each.configuration == winner.configuration]
    return str(winner.configuration) if len(same) == 1 else str(winner)


def _range_text(over: Range, form: text.Form) -> str:
    if over.n == 1:
        return form(over.median)
    return f"{form(over.median)} (median of {over.n} seeds, {form(over.low)} to {form(over.high)})"


def training_table(setting: str, choices: Sequence[Trained]) -> Table:
    """The table of choices: medians and ranges over their seeds."""
    target = target_of(choices)
    to = f"time to\nloss {text.tolerance(target)}" if target is not None else "time to loss"
    return tabulate(
        setting,
        [
            *(_of_first(column) for column in (columns.SOLVER, columns.BACKEND, columns.GRADIENT, columns.STEP)),
            Cells("optimiser", lambda each: words(optimiser(each.cell)), title="with its learning rate"),
            Cells("seeds", lambda each: number(len(each.seeds), text.count), True),
            Cells(
                "final\nloss",
                lambda each: ranged(each.final_loss, text.number),
                True,
                METRICS["final_loss"].meaning + OVER,
            ),
            _median("training", "train_s", text.seconds),
            Cells(to, lambda each: _time(each, target), True, METRICS["train_s"].meaning + TO + OVER),
            _median("NFE\nfirst", "nfe_start", text.count),
            _median("NFE\nlast", "nfe_end", text.count),
            *(_of_first(column) for column in (columns.FORWARD, columns.GRADIENT_TIME, columns.MEMORY, columns.KEY)),
        ],
        choices,
    )


def _of_first(column: columns.Cells) -> Cells:
    title = f"{column.title} (of the first seed)" if column.title else ""
    return Cells(column.heading, lambda each: column.show(each.seeds[0]), column.numeric, title)


def _median(heading: str, name: str, form: text.Form) -> Cells:
    return Cells(heading, lambda each: number(each.over(name).median, form), True, METRICS[name].meaning)


def _time(choice: Trained, target: float | None) -> Value:
    return ranged(choice.to(target), text.seconds) if target is not None else number(None, text.seconds)

"""Study `spiral`: a network trained on a spiral, over solvers, gradient modes, optimisers and seeds."""

from collections.abc import Sequence

from reports.measured import MeasuredCell
from reports.views.findings.comparison import compare
from reports.views.findings.learning import BATCHES, NFE, TRAJECTORY, phase_panels, training_panels
from reports.views.findings.library import library_answers, library_pairs
from reports.views.findings.mode_answers import mode_point_answer, mode_points
from reports.views.findings.modes import CLOCK
from reports.views.findings.race import loss_answer, target_answer, trained_names
from reports.views.findings.trained import Trained, optimiser, ranged, target_of, trained
from reports.views.findings.transfer import TRANSFERS, transfer_answer, transfer_table, transfers
from reports.views.parts import columns
from reports.views.parts.figure import figures
from reports.views.parts.section import Section
from reports.views.parts.table import Column, Table, Value, number, tabulate, words
from reports.views.studies import SECTIONS
from results import format as text
from results.metrics import METRICS

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
OVER = ": median and range of the seeds"
TO = " up to that loss on the whole trajectory, ∞ if it is never seen"
Cells = Column[Trained]


@SECTIONS.register(name="spiral", doc=TITLE)
def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The section of the study; `cells` are its cells that have a number."""
    choices = trained(cells)
    survived = {title: transfers(group) for title, group in choices.items()}
    points = mode_points(cells)
    decisive = [pair for point in points for pair in point.pairs]
    times = compare([*decisive, *library_pairs(cells, CLOCK)], CLOCK)
    answers = [
        *(loss_answer(title, group) for title, group in choices.items()),
        *(target_answer(title, group) for title, group in choices.items()),
        *(transfer_answer(title, rows, trained_names(choices[title])) for title, rows in survived.items()),
        *(mode_point_answer(point, times) for point in points),
        *library_answers(cells, CLOCK, "gradient_error", times),
    ]
    return Section(
        study,
        TITLE,
        QUESTION,
        answers=tuple(answer for answer in answers if answer),
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

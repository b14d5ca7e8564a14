"""Transfer of trained models to other solvers, after Ott et al. (2021), "ResNet after all", ICLR."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell
from reports.views.findings.trained import Trained, optimiser, ranged
from reports.views.parts import columns
from reports.views.parts.section import Finding
from reports.views.parts.table import Column, Table, number, tabulate, words
from results import format as text
from results.statistics.training import Range

TRANSFERS = 1.5  # times the loss as trained, at most; both losses are of one model, so no seed is in their ratio
NAMED = 3  # choices that a finding names


@dataclass(frozen=True)
class Transfer:
    """The solve of a trained choice with another solver."""

    trained: Trained
    solve: str  # the other solver and its step or tolerances, as the sweep writes them
    loss: Range  # over seeds, as the other ranges
    ratio: Range  # of the loss to that of the same model as trained
    nfe: Range
    own_backend: bool

    @property
    def survived(self) -> bool:
        """Whether the model of the median seed is nearly as good as it was."""
        return self.ratio.median <= TRANSFERS

    @property
    def verdict(self) -> str:
        """The outcome in words; empty if there is no loss to compare with."""
        if self.ratio.n == 0:
            return ""
        if math.isinf(self.ratio.median):
            return "cannot be solved"
        return "survives" if self.survived else "has not survived"

    def __str__(self) -> str:
        return f"{self.trained}: {text.times(self.ratio.median)} by {self.solve}"


def transfers(choices: Sequence[Trained]) -> list[Transfer]:
    """The transfers, one for each choice and solve."""
    return [
        _transfer(each, solve, place)
        for each in choices
        for place, solve in enumerate(each.cell.evaluate.split("; "))
        if any(_row(seed, place) for seed in each.seeds)
    ]


def _transfer(trained: Trained, solve: str, place: int) -> Transfer:
    rows = [(seed, row) for seed in trained.seeds if (row := _row(seed, place))]
    return Transfer(
        trained,
        solve,
        loss=Range.of([loss for _, (loss, _, _) in rows]),
        ratio=Range.of([_ratio(loss, seed.value("final_loss")) for seed, (loss, _, _) in rows]),
        nfe=Range.of([nfe for _, (_, nfe, _) in rows]),
        own_backend=all(own for _, (_, _, own) in rows),
    )


def _row(measured: MeasuredCell, place: int) -> tuple[float, float, float] | None:
    """The loss, the NFE, and whether the cell's own backend solved it; None if it was not measured."""
    if "evaluation" not in measured.curves:
        return None
    places, rows = measured.curves["evaluation"]
    found = rows[places == place]
    return tuple(found[0].tolist()) if len(found) else None


def _ratio(loss: float, as_trained: float) -> float:
    """The ratio of the loss to that of the model as trained; NaN if that is not positive and finite."""
    return loss / as_trained if 0 < as_trained < math.inf else math.nan


def transfer_table(setting: str, rows: Sequence[Transfer]) -> Table:
    """The table of losses as trained and with another solver."""
    return tabulate(
        f"{setting}: the trained model solved in other ways",
        [
            _of_first("trained with", columns.SOLVER),
            *(_of_first(each.heading, each) for each in (columns.STEP, columns.BACKEND, columns.GRADIENT)),
            Column("optimiser", lambda row: words(optimiser(row.trained.cell)), title="with its learning rate"),
            Column("solved with", lambda row: words(row.solve if row.own_backend else f"{row.solve}, by node")),
            Column("NFE", lambda row: number(row.nfe.median, text.count), True, "calls over the whole trajectory"),
            Column("loss as\ntrained", lambda row: number(row.trained.final_loss.median, text.number), True),
            Column("loss so\nsolved", lambda row: number(row.loss.median, text.number), True),
            Column("ratio", lambda row: ranged(row.ratio, text.times), True, "of the two losses of one model"),
            Column("verdict", lambda row: words(row.verdict), title=f"survives: at most {TRANSFERS:g} times the loss"),
        ],
        rows,
    )


def _of_first(heading: str, column: columns.Cells) -> Column[Transfer]:
    return Column(heading, lambda row: column.show(row.trained.seeds[0]), column.numeric, column.title)


def transfer_finding(subject: str, rows: Sequence[Transfer]) -> Finding | None:
    """The finding on the choices that are as good with every other solver; None if no other was measured."""
    judged = [row for row in rows if row.ratio.n]
    choices = list(dict.fromkeys(row.trained for row in judged))
    if not choices:
        return None
    lost = [max(_of(choice, judged), key=lambda row: row.ratio.median) for choice in choices]
    lost = sorted((row for row in lost if not row.survived), key=lambda row: -row.ratio.median)
    solves = text.listed(list(dict.fromkeys(row.solve for row in judged)))
    said = f"Solved with {solves}, the loss on the whole trajectory is at most {TRANSFERS:g} times that as trained"
    if not lost:
        return Finding(subject, "every trained choice survives", f"{said}.")
    answer = f"{len(choices) - len(lost)} of {text.plural(len(choices), 'trained choice')} survive"
    named = "; ".join(map(str, lost[:NAMED]))
    more = f"; and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    return Finding(subject, answer, f"{said}, but for {named}{more}.")


def _of(choice: Trained, rows: Sequence[Transfer]) -> list[Transfer]:
    return [row for row in rows if row.trained is choice]

"""Transfer of trained models to other solvers, after Ott et al. (2021), "ResNet after all", ICLR."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell
from reports.views.findings.trained import Trained, optimiser, ranged
from reports.views.parts import columns
from reports.views.parts.answer import CHOICE, NFE, VERDICT, Answer, Scale, fitting
from reports.views.parts.table import Column, Table, number, tabulate, words
from results import format as text
from results.statistics.training import Range

TRANSFERS = 1.5  # times the loss as trained, at most; both losses are of one model, so no seed is in their ratio


@dataclass(frozen=True)
class Transfer:
    """The solve of a trained choice with another solver."""

    trained: Trained
    solve: str  # the other solver and its step or tolerances, as the sweep writes them
    loss: Range  # over seeds, as the other ranges
    ratios: Mapping[int, float]  # by seed: the loss to that of the same model as trained, without NaN
    nfe: Range
    own_backend: bool

    @property
    def ratio(self) -> Range:
        """The range of the ratios over seeds."""
        return Range.of(list(self.ratios.values()))

    @property
    def verdict(self) -> str:
        """How many models survive, and how many improve; empty if there is no loss to compare with."""
        return survival(list(self.ratios.values()))


def survival(ratios: Sequence[float]) -> str:
    """The number of models whose loss stays within TRANSFERS, and of those whose loss falls by as much."""
    if not ratios:
        return ""
    if len(ratios) == 1 and math.isinf(ratios[0]):
        return "cannot be solved"
    survive = sum(each <= TRANSFERS for each in ratios)
    improve = sum(each < 1 / TRANSFERS for each in ratios)
    said = f"{survive} of {len(ratios)} {'survives' if survive == 1 else 'survive'}"
    return f"{said}, {improve} {'improves' if improve == 1 else 'improve'}" if improve else said


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
        ratios={
            seed.cell.seed: ratio
            for seed, (loss, _, _) in rows
            if not math.isnan(ratio := _ratio(loss, seed.value("final_loss")))
        },
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


@dataclass(frozen=True)
class ModelsOfChoice:
    """The models of a trained choice, each with the worst of its ratios over the other solvers."""

    trained: Trained
    rows: tuple[Transfer, ...]

    @property
    def worst(self) -> list[float]:
        """The largest ratio of each model."""
        seeds = dict.fromkeys(seed for row in self.rows for seed in row.ratios)
        return [max(row.ratios[seed] for row in self.rows if seed in row.ratios) for seed in seeds]


def transfer_answer(setting: str, rows: Sequence[Transfer], named: Mapping[Trained, str]) -> Answer | None:
    """The answer on the models that are as good with every other solver; None if no other was measured."""
    groups: dict[Trained, list[Transfer]] = {}
    for row in rows:
        if row.ratios:
            groups.setdefault(row.trained, []).append(row)
    choices = [ModelsOfChoice(trained, tuple(of)) for trained, of in groups.items()]
    if not choices:
        return None
    choices.sort(key=lambda each: -max(each.worst))
    every = [ratio for each in choices for ratio in each.worst]
    scale = Scale.holding(every)
    solves = text.listed(list(dict.fromkeys(row.solve for row in rows if row.ratios)))
    question = f"{setting}: does a trained model survive another solver?"
    table = tabulate(
        question,
        [
            Column[ModelsOfChoice](CHOICE, lambda each: words(named[each.trained], hue=each.trained.cell.solver)),
            Column(
                "loss\nratio",
                lambda each: scale.spread(each.worst),
                True,
                "each model's worst loss over that as trained",
            ),
            Column("loss as\ntrained", lambda each: number(each.trained.final_loss.median, text.number), True),
            Column(NFE, lambda each: number(max(row.nfe.median for row in each.rows), text.count), True, "the largest"),
            Column(VERDICT, lambda each: words(survival(each.worst))),
        ],
        choices,
    )
    details = f"Solved with {solves}: a model survives if its loss is at most {TRANSFERS:g} times that as trained."
    return Answer(question, _sentence(choices, named), table, (details,))


def _sentence(choices: Sequence[ModelsOfChoice], named: Mapping[Trained, str]) -> str:
    """The sentence on all models of these choices, of which the first has the worst one."""
    every = [ratio for each in choices for ratio in each.worst]
    survive, improve = sum(each <= TRANSFERS for each in every), sum(each < 1 / TRANSFERS for each in every)
    said = f"{survive} of {text.plural(len(every), 'model')} survive{'s' if survive == 1 else ''}"
    better = f"{improve} improve{'s' if improve == 1 else ''}" if improve else ""
    worst, ratio = named[choices[0].trained], max(every)
    lost = f"one of {worst} has {text.factor(ratio)} times the loss" if TRANSFERS < ratio < math.inf else ""
    unsolved = f"one of {worst} cannot be solved" if ratio == math.inf else ""
    return fitting(said, better, lost, unsolved)

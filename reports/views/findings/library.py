"""The answer on libraries: the time that each takes for cells that are equal otherwise."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from itertools import combinations

from reports.measured import MeasuredCell, measured_of
from reports.views.findings.comparison import NO_DIFFERENCE, Comparison, Pair, Times
from reports.views.findings.configuration import BLOCK, Configuration, grouped, names, settings
from reports.views.parts.answer import CHOICE, ERROR, MEMORY, NFE, TIME, VERDICT, Answer, Scale, fitting
from reports.views.parts.table import Column, Value, tabulate, words
from results import format as text
from results.metrics import METRICS

ALONG = ("horizon", "n_outputs", "seed")  # these and the step vary within a row
SETTING = tuple(name for name in BLOCK if name not in ALONG)


@dataclass(frozen=True)
class EqualCells:
    """A cell of another library, the equal cell of the library that it is compared with, and the ratio of times."""

    other: MeasuredCell
    one: MeasuredCell
    time: Comparison

    def quotient(self, name: str) -> float:
        """The ratio of the metrics; 1 if both are 0, NaN if it is not known."""
        above, below = self.other.value(name), self.one.value(name)
        if above == below:
            return 1.0
        return above / below if math.isfinite(above) and below > 0 else math.nan


@dataclass(frozen=True)
class LibraryRow:
    """A choice, apart from the library, with all equal cells of two libraries."""

    choice: str
    hue: str
    library: str  # the other one
    pairs: tuple[EqualCells, ...]

    @property
    def slower(self) -> int:
        """The number of cells for which the other library is called slower."""
        return sum(each.time.differs and each.time.ratio.value > 1 for each in self.pairs)

    @property
    def faster(self) -> int:
        """The number of cells for which the other library is called faster."""
        return sum(each.time.differs and each.time.ratio.value < 1 for each in self.pairs)

    @property
    def ratios(self) -> list[float]:
        """The ratios of times that say anything."""
        return [each.time.ratio.value for each in self.pairs if not each.time.few_processes]

    @property
    def verdict(self) -> str:
        """The number of cells for which the other library is slower or faster; of one cell by how much."""
        if len(self.pairs) == 1:
            return self.pairs[0].time.verdict
        if not self.ratios:
            return text.TOO_FEW
        n = f"of {len(self.pairs)}"
        said = [f"{word} in {count} {n}" for word, count in (("slower", self.slower), ("faster", self.faster)) if count]
        return ", ".join(said) or "no difference"


def library_pairs(cells: Sequence[MeasuredCell], name: str) -> list[Pair]:
    """The pairs of cells that differ only in the backend; the backend that comes first is the denominator."""
    alike = grouped(measured_of(cells, name), lambda each: astuple(replace(each.cell, backend="")))
    return [(other, one) for group in alike.values() for one, other in combinations(group, 2)]


def library_answers(cells: Sequence[MeasuredCell], clock: str, error: str, times: Times) -> tuple[Answer, ...]:
    """The answer on libraries; none if no cell was timed with two of them."""
    pairs = _equal_cells(cells, clock, times)
    if not pairs:
        return ()
    against = _quickest([each.cell.backend for each in cells], pairs)
    rows = library_rows(cells, [each for each in pairs if each.one.cell.backend == against])
    ratios = [ratio for row in rows for ratio in row.ratios]
    single = [row.pairs[0].time.ratio for row in rows if len(row.pairs) == 1]
    ends = [end for each in single if not each.few_processes for end in (each.low, each.high)]
    scale = Scale.holding([*ratios, *ends])
    table = tabulate(
        f"Each library over {against}",
        [
            Column[LibraryRow](CHOICE, lambda row: words(row.choice, hue=row.hue)),
            *([Column("library", lambda row: words(row.library))] if len({row.library for row in rows}) > 1 else []),
            Column(TIME, lambda row: _time(row, scale), True, f"{METRICS[clock].meaning}, over {against}'s"),
            _quotients(ERROR, error, against),
            _quotients(MEMORY, "peak_bytes", against),
            _quotients(NFE, "nfe_forward", against),
            Column(VERDICT, lambda row: words(row.verdict)),
        ],
        rows,
    )
    question = "How long does each library take for equal cells?"
    details = "Equal cells have the same problem, solver, step or tolerances, gradient mode, horizon and outputs."
    return (Answer(question, library_sentence(rows, against), table, (details,)),)


def library_rows(cells: Sequence[MeasuredCell], pairs: Sequence[EqualCells]) -> list[LibraryRow]:
    """The rows of the pairs: one for each setting, choice and other library."""
    titles = {each.key: title for title, group in settings(cells, SETTING).items() for each in group}
    named = names(_choice(each.other) for each in pairs)
    several = len({titles[each.other.key] for each in pairs}) > 1
    rows: dict[tuple[str, str, str], list[EqualCells]] = {}
    for each in pairs:
        choice, title = named[_choice(each.other)], titles[each.other.key]
        said = f"{title}: {choice}" if several else choice
        rows.setdefault((said, each.other.cell.solver, each.other.cell.backend), []).append(each)
    return [LibraryRow(*key, tuple(group)) for key, group in rows.items()]


def library_sentence(rows: Sequence[LibraryRow], against: str) -> str:
    """The sentence on each other library, in their order: its range of ratios, and how many differ which way."""
    libraries = dict.fromkeys(row.library for row in rows)
    clauses = [_clause(library, [row for row in rows if row.library == library], against) for library in libraries]
    return fitting(clauses[0], *clauses[1:])


def _clause(library: str, rows: Sequence[LibraryRow], against: str) -> str:
    ratios = [ratio for row in rows for ratio in row.ratios]
    if not ratios:
        return f"Too few processes were timed to compare {library} with {against}"
    n = sum(len(row.pairs) for row in rows)
    slower, faster = sum(row.slower for row in rows), sum(row.faster for row in rows)
    if n == 1 and slower:
        return f"{library} takes {text.as_long(ratios[0])} {'than' if ratios[0] < text.BY_PERCENT else 'as'} {against}"
    cells = text.plural(n, "equal cell")
    if not (slower or faster):
        within = all(each.time.undecided == NO_DIFFERENCE for row in rows for each in row.pairs)
        tie = "tie" if within else "are too close to call"
        return f"{library} and {against} {tie} in {cells}, with ratios of times of {text.span(ratios, text.times)}"
    counts = f"slower in {slower} of {cells}" + (f", faster in {faster}" if faster else "")
    return f"{library} takes {text.span(ratios, text.factor)} times as long as {against}, {counts}"


def _equal_cells(cells: Sequence[MeasuredCell], clock: str, times: Times) -> list[EqualCells]:
    """The pairs that can be compared, each in both directions."""
    found = []
    for other, one in library_pairs(cells, clock):
        if time := times.get((other.key, one.key)):
            found += [EqualCells(other, one, time), EqualCells(one, other, time.inverse)]
    return found


def _quickest(backends: Sequence[str], pairs: Sequence[EqualCells]) -> str:
    """The library for which most others are slower, less those that are faster; the first of several such."""
    score = dict.fromkeys(backends, 0)
    for each in pairs:
        if each.time.differs:
            score[each.one.cell.backend] += 1 if each.time.ratio.value > 1 else -1
    compared = {each.one.cell.backend for each in pairs}
    return max((each for each in score if each in compared), key=lambda each: score[each])


def _choice(measured: MeasuredCell) -> Configuration:
    return replace(Configuration.of(measured), backend="")


def _time(row: LibraryRow, scale: Scale) -> Value:
    if len(row.pairs) == 1:
        return scale.value(row.pairs[0].time.ratio, quiet=not row.pairs[0].time.differs)
    if not row.ratios:
        return Value(text.MISSING, None)
    return scale.spread(row.ratios)


def _quotients(heading: str, name: str, against: str) -> Column[LibraryRow]:
    def show(row: LibraryRow) -> Value:
        ratios = [ratio for each in row.pairs if not math.isnan(ratio := each.quotient(name))]
        return Value(text.span(ratios, text.times), max(ratios)) if ratios else Value(text.MISSING, None)

    return Column(heading, show, True, f"{METRICS[name].meaning}, over {against}'s")

"""Answers: a question, the sentence that answers it, and the small table that the sentence is read from."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from reports.views.parts.table import Bar, Row, Table, Value
from results import format as text
from results.statistics.ratio import Ratio

WORDS = 20  # of a sentence, at most
ROWS = 7  # of a table, that are shown at once
CHOICE, TIME, ERROR, MEMORY, NFE, VERDICT = "choice", "time", "error", "memory", "NFE", "verdict"  # headings


@dataclass(frozen=True)
class Answer:
    """A question with its answer."""

    question: str
    sentence: str  # of at most WORDS words, with the number that decides
    table: Table  # a row for each choice, the verdict last
    details: tuple[str, ...] = ()  # sentences that are shown on demand

    @property
    def first_rows(self) -> tuple[Row, ...]:
        """The rows that are shown at once: all, or the first ROWS if there are many more."""
        rows = self.table.rows
        return rows if len(rows) <= ROWS + 1 else rows[:ROWS]

    @property
    def other_rows(self) -> tuple[Row, ...]:
        """The rows that are shown on demand."""
        return self.table.rows[len(self.first_rows) :]

    @property
    def summary(self) -> str:
        """The title of what is shown on demand."""
        return f"{text.plural(len(self.other_rows), 'other choice')} and details" if self.other_rows else "Details"


@dataclass(frozen=True)
class Scale:
    """The logarithmic scale on which the intervals of a column are drawn."""

    low: float
    high: float

    @classmethod
    def of(cls, ratios: Iterable[Ratio | None]) -> Self:
        """The scale that holds 1 and every interval that says anything."""
        return cls.holding(end for each in ratios if each and not each.few_processes for end in (each.low, each.high))

    @classmethod
    def holding(cls, values: Iterable[float]) -> Self:
        """The scale that holds 1 and these positive numbers."""
        ends = [1.0, *(value for value in values if 0 < value < math.inf)]
        return cls(min(ends), max(ends))

    def value(self, ratio: Ratio, *, note: str = "", quiet: bool = False) -> Value:
        """An entry of a ratio: the number, its interval drawn if it says anything, and a text in grey."""
        said = self.ranged(ratio.value, ratio.low, ratio.high, note=note)
        return replace(said, quiet=quiet, bar=None if ratio.few_processes else said.bar)

    def one(self, *, note: str = "") -> Value:
        """The entry of the choice that the others are compared with."""
        return self.ranged(1.0, 1.0, 1.0, note=note)

    def ranged(self, value: float, low: float, high: float, *, note: str = "") -> Value:
        """An entry of a ratio with its range drawn."""
        bar = Bar(self._place(low), self._place(high), self._place(value)) if 0 < low <= high < math.inf else None
        return Value(text.times(value), value, note=note, bar=bar)

    def spread(self, values: Sequence[float]) -> Value:
        """An entry of several ratios, from the least to the greatest."""
        low, high = min(values), max(values)
        bar = Bar(self._place(low), self._place(high)) if low > 0 and high < math.inf else None
        return Value(text.span(values, text.times), high, bar=bar)

    def _place(self, value: float) -> float:
        width = math.log(self.high / self.low)
        return min(1.0, max(0.0, math.log(value / self.low) / width)) if width else 0.0


def fitting(first: str, *clauses: str) -> str:
    """The sentence of the first clause and of those of the others, in their order, that fit into WORDS words."""
    said = first
    for clause in filter(None, clauses):
        longer = f"{said}; {clause}"
        said = longer if words_in(longer) <= WORDS else said
    return f"{said}."


def names_or_count(names: Sequence[str], noun: str, room: int) -> str:
    """All names, as in a, b and c; if these are more than `room` words, how many there are, as in 7 choices."""
    said = text.listed(names)
    return said if words_in(said) <= room else text.plural(len(names), noun)


def words_in(sentence: str) -> int:
    """The number of words; a number and its unit are two."""
    return len(sentence.replace(text.THIN, "").split())

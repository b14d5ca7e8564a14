"""Tables: columns with the function that shows a subject, and the rows made with them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from results import format as text
from results.statistics.ratio import Ratio

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Bar:
    """An interval to be drawn: places in its column's width, from 0 to 1."""

    low: float
    high: float
    mark: float | None = None  # the value itself; None where it is a range of several values


@dataclass(frozen=True)
class Value:
    """An entry of a table: its text, and the value that it is sorted by (None is last)."""

    text: str
    sort: float | str | None
    hue: str = ""  # the name whose colour marks it
    link: str = ""  # the row that it leads to
    note: str = ""  # in grey after it: an interval
    quiet: bool = False  # in grey itself: no difference
    unsettled: bool = False  # marked as less precise than asked
    bar: Bar | None = None  # drawn before it


@dataclass(frozen=True)
class Column(Generic[Subject]):
    """A column: its heading, its explanation, and how a subject is shown."""

    heading: str
    show: Callable[[Subject], Value]
    numeric: bool = False
    title: str = ""


@dataclass(frozen=True)
class Heading:
    """The heading of a column, as the page needs it."""

    text: str
    numeric: bool
    title: str


@dataclass(frozen=True)
class Row:
    """A row: entries in the order of the headings; the anchor is the cell's key in the table of all cells."""

    values: tuple[Value, ...]
    anchor: str = ""


@dataclass(frozen=True)
class Table:
    """A table that the page shows, and that can be sorted."""

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]

    @property
    def unsettled(self) -> bool:
        """Whether any entry is marked as unsettled, and the mark needs its legend."""
        return any(value.unsettled for row in self.rows for value in row.values)


def words(said: str, *, hue: str = "", link: str = "") -> Value:
    """An entry of text; an empty text is shown as missing."""
    return Value(said or text.MISSING, said or None, hue=hue, link=link)


def number(value: float | None, form: text.Form) -> Value:
    """An entry of a number; None and NaN are shown as missing."""
    if value is None or value != value:
        return Value(text.MISSING, None)
    return Value(form(value), value)


def ratio(value: Ratio, *, quiet: bool = False) -> Value:
    """An entry of a ratio and, in grey, its interval."""
    return Value(text.times(value.value), value.value, note=text.interval(value), quiet=quiet)


def tabulate(
    caption: str,
    columns: Iterable[Column[Subject]],
    subjects: Iterable[Subject],
    *,
    anchor: Callable[[Subject], str] = lambda _: "",
) -> Table:
    """The table with a row for each subject, without columns whose entries are all missing."""
    subjects = list(subjects)
    shown = [(column, [column.show(subject) for subject in subjects]) for column in columns]
    shown = [(column, values) for column, values in shown if any(value.sort is not None for value in values)]
    return Table(
        caption,
        tuple(Heading(column.heading, column.numeric, column.title) for column, _ in shown),
        tuple(
            Row(tuple(values[index] for _, values in shown), anchor(subject)) for index, subject in enumerate(subjects)
        ),
    )

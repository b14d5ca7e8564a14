"""The table of all cells as LaTeX, Markdown and CSV. The texts of the database are escaped in each."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from reports.measured import MeasuredCell
from reports.views.parts.table import Table, Value
from reports.views.studies.summary import raw_table, summary_table
from results import escaping

UNSETTLED = "timing ended before the ratio to the control was as sure as asked"


def latex(cells: Sequence[MeasuredCell]) -> bytes:
    """The table as a tabular of LaTeX, with the rules of booktabs."""
    table = summary_table(cells)
    aligned = "".join("r" if heading.numeric else "l" for heading in table.headings)
    lines = [
        "% \\usepackage{booktabs}",
        *([f"% ≈: {UNSETTLED}"] if table.unsettled else []),
        f"\\begin{{tabular}}{{{aligned}}}",
        "\\toprule",
        _latex_row([heading.text for heading in table.headings]),
        "\\midrule",
        *(_latex_row(entries) for entries in _entries(table)),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return _lines(lines)


def _latex_row(entries: Sequence[str]) -> str:
    return f"{' & '.join(map(escaping.latex, entries))} \\\\"


def markdown(cells: Sequence[MeasuredCell]) -> bytes:
    """The table in GitHub's Markdown."""
    table = summary_table(cells)
    lines = [
        _markdown_row([heading.text for heading in table.headings]),
        f"| {' | '.join('---:' if heading.numeric else '---' for heading in table.headings)} |",
        *(_markdown_row(entries) for entries in _entries(table)),
        *(["", f"≈ {UNSETTLED}."] if table.unsettled else []),
    ]
    return _lines(lines)


def _markdown_row(entries: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaping.markdown, entries))} |"


def csv(cells: Sequence[MeasuredCell]) -> bytes:
    """The table as CSV: numbers in SI units and in full precision, whose unit is in the heading."""
    headings, rows = raw_table(cells)
    return escaping.csv_lines([headings, *([_raw(entry) for entry in row] for row in rows)])


def _raw(entry: str | float | None) -> str:
    if isinstance(entry, str):
        return escaping.no_formula(escaping.visible(entry))
    return "" if entry is None or entry != entry else repr(entry)


FORMATS: Mapping[str, Callable[[Sequence[MeasuredCell]], bytes]] = {".tex": latex, ".md": markdown, ".csv": csv}


def _entries(table: Table) -> Iterator[list[str]]:
    """The entries of each row as the page shows them."""
    for row in table.rows:
        yield [said(value) for value in row.values]


def said(value: Value) -> str:
    """An entry as the page shows it: the mark of an unsettled one, its text, and its interval."""
    return f"{'≈ ' if value.unsettled else ''}{value.text}{f' {value.note}' if value.note else ''}"


def _lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()

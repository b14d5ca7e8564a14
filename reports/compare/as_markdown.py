"""A comparison as Markdown: a whole document, or a summary that a pull request can carry.

Texts of any origin are code spans, in which nothing is markup, no name is called and nothing is linked. A code span
ends at a backtick and a table's cell at a bar: both are shown as escapes, as are marks of direction and line ends.
"""

from collections.abc import Iterator, Sequence

from reports.compare.lines import change, heading, opening, ratio, reasons, resolution
from reports.compare.verdicts import ORDER, Compared, Row, SideView, Verdict
from results import format as text
from results.escaping import one_line

TITLE = "nodebench compare"
LONGEST = 60_000  # characters of a summary: GitHub takes 65,536 of a comment
_LONG = 300  # characters of a text of any origin
_FOLDED = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.GONE, Verdict.NEW, Verdict.UNKNOWN)  # the last are cut first
_HEADER = ("| cell | key | number | before → after | ratio | why |", "|---|---|---|---|---|---|")


def markdown(compared: Compared) -> str:
    """The comparison as a document, with a table for each verdict."""
    lines = [*_opening(compared)]
    for verdict in ORDER:
        if found := compared.listed(verdict):
            lines += ["", f"## {_capital(heading(verdict, compared))}", "", *_HEADER, *map(_line, found)]
    return "\n".join([*lines, ""])


def summary(compared: Compared) -> str:
    """The heading, the counts and a folded table, in at most LONGEST characters."""
    lines = _opening(compared)
    rows = [row for verdict in _FOLDED for row in compared.of(verdict)]
    if rows:
        lines += ["", "<details>", f"<summary>{text.plural(len(rows), 'row')}</summary>", ""]
        lines += _fitting(rows, LONGEST - sum(len(line) + 1 for line in lines))
        lines += ["", "</details>"]
    return "\n".join([*lines, ""])


def _fitting(rows: Sequence[Row], room: int) -> list[str]:
    """The table's lines that have room, and a sentence on the others."""
    room -= 200  # of that sentence and the end
    header = ("| verdict " + _HEADER[0], "|---" + _HEADER[1])
    lines = list(header)
    room -= sum(len(line) + 1 for line in lines)
    for row in rows:
        line = f"| {row.verdict} {_line(row)}"
        room -= len(line) + 1
        if room < 0:
            left = len(rows) - (len(lines) - len(header))
            return [*lines, "", f"{text.plural(left, 'row')} more: `--format markdown` has room for all of them."]
        lines.append(line)
    return lines


def _opening(compared: Compared) -> list[str]:
    lines = [f"# {TITLE}", "", opening(compared), ""]
    lines += [f"- {letter}: {_side(side)}" for letter, side in (("A", compared.before), ("B", compared.after))]
    for notice in compared.notices:
        lines += ["", f"> **{span(notice)}**"]
    if compared.environments:
        lines += ["", "| environment | A | B |", "|---|---|---|"]
        lines += [f"| {span(name)} | {span(a)} | {span(b)} |" for name, (a, b) in compared.environments.items()]
    lines += ["", "| | cells | numbers |", "|---|--:|--:|"]
    lines += [f"| {verdict} | {text.count(n)} | {text.count(m)} |" for verdict, (n, m) in compared.counts.items()]
    if unknown := reasons(compared.of(Verdict.UNKNOWN)):
        lines += ["", "Unknown: " + "; ".join(f"{text.count(n)} {reason}" for n, reason in unknown) + "."]
    if said := resolution(compared):
        lines += ["", said]
    return lines


def _side(side: SideView) -> str:
    return ", ".join(span(said) for said in (side.label, *side.facts)) + f"; what is behind a number: {span(side.show)}"


def _line(row: Row) -> str:
    return "| " + " | ".join(_columns(row)) + " |"


def _columns(row: Row) -> Iterator[str]:
    yield span(row.cell.label)
    yield span(row.cell.key)
    yield row.name
    yield change(row)
    yield ratio(row)
    yield " ".join(filter(None, (row.reason, span(row.detail) if row.detail else "")))


def span(said: str) -> str:
    """A text of any origin as a code span, its beginning if it is long."""
    whole = said if len(said) <= _LONG else f"{said[:_LONG]}…"
    shown = one_line(whole).replace("`", r"\x60").replace("|", r"\x7c")
    return f"`{shown}`" if shown.strip() else ""


def _capital(said: str) -> str:
    return said[:1].upper() + said[1:]

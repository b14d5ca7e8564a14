"""Texts of any origin, such as those of a database, as they may stand in a terminal, CSV, Markdown or LaTeX.

A text means itself there: it is no markup, formula or command, and what it hides is seen. HTML is escaped by the page's
templates, after `visible`.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

# What a spreadsheet takes for a formula, by OWASP's page on CSV injection, also after leading quotes.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode: control, format, surrogate, private, none, separators
_KEPT = "\n\t\N{WORD JOINER}"

_MARKDOWN = {ord(character): f"\\{character}" for character in "\\`*_[]|~$"} | {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
}
_ADDRESS = re.compile(r"(?<=[a-z]):(?=//)|(?<=www)\.", re.IGNORECASE)  # GitHub makes links of these

_LATEX = {
    ord(character): escaped
    for character, escaped in {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
        "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
        "|": r"\textbar{}", '"': "''", "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}",
        "×": r"$\times$", "µ": r"\textmu{}", "±": r"$\pm$", "–": "--", "−": "$-$", "≈": r"$\approx$", "∞": r"$\infty$",
        "\N{NARROW NO-BREAK SPACE}": r"\,", "\N{NO-BREAK SPACE}": "~", "\N{WORD JOINER}": "", "…": r"\ldots{}",
    }.items()
}  # fmt: skip


def visible(text: str) -> str:
    """The text with its hidden characters as escapes, such as \\u202e.

    Hidden are those of control, which a terminal obeys, those that turn the order of what follows them around, and
    halves of surrogate pairs. Ends of lines, tabs and word joiners stay.
    """
    if text.isprintable():
        return text
    return "".join(
        ascii(each)[1:-1] if unicodedata.category(each) in _HIDDEN and each not in _KEPT else each for each in text
    )


def one_line(text: str) -> str:
    """The visible text on one line: ends of lines and tabs become blanks."""
    return re.sub(r"[ \t]*[\n\t][ \n\t]*", " ", visible(text.replace("\r\n", "\n"))).strip(" ")


def no_formula(text: str) -> str:
    """The text as no spreadsheet takes it for a formula: with a quote before what begins like one."""
    return f"'{text}" if _FORMULA.match(text) else text


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """The rows as lines of CSV in UTF-8, quoted where they must be."""
    lines: list[str] = []
    # Readers end a line at a bare carriage return; before Python 3.13 it is quoted only if it is in lineterminator.
    ended = SimpleNamespace(write=lambda line: lines.append(line.removesuffix("\r\n") + "\n"))
    csv.writer(ended, lineterminator="\r\n").writerows(rows)
    return "".join(lines).encode()


def markdown(text: str) -> str:
    """The text in a line of Markdown, of a table too: no markup, no HTML, no formula, no link."""
    return _ADDRESS.sub(lambda found: f"&#{ord(found[0])};", one_line(text).translate(_MARKDOWN))


def latex(text: str) -> str:
    """The text in a line of LaTeX, without a command; its letters stay as they are, in UTF-8."""
    return one_line(text).translate(_LATEX)

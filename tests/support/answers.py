"""Reading answers in tests, and holding a sentence against the table beneath it."""

import re

from reports.views.parts.answer import CHOICE, VERDICT, WORDS, Answer, words_in
from reports.views.parts.table import Table, Value
from tests.support.made import plain

NUMBER = re.compile(r"(?<![\w.])\d[\d ]*(?:\.\d+)?(?:e[+-]?\d+)?")


def column(table: Table, heading: str) -> dict[str, Value]:
    """The entries of a column by choice."""
    headings = [plain(each.text).replace("\n", " ") for each in table.headings]
    at, name = headings.index(heading), headings.index(CHOICE)
    return {plain(row.values[name].text): row.values[at] for row in table.rows}


def verdicts(answer: Answer) -> dict[str, str]:
    """The verdicts by choice."""
    return {choice: plain(value.text) for choice, value in column(answer.table, VERDICT).items()}


def shown(table: Table, heading: str) -> dict[str, str]:
    """The texts of a column by choice."""
    return {choice: plain(value.text) for choice, value in column(table, heading).items()}


def assert_held_by_its_table(answer: Answer) -> None:
    """The sentence is short, names rows of the table alone, and each of its numbers stands there or counts its rows."""
    sentence = plain(answer.sentence)
    assert words_in(answer.sentence) <= WORDS, sentence
    assert sentence.endswith(".")
    table = [plain(part) for part in _texts(answer.table)]
    known = [number for part in (*table, plain(answer.question)) for number in _numbers(part)]
    counts = zip(*(_numbers(said) for said in verdicts(answer).values()), strict=False)
    allowed = [*known, *(float(n) for n in range(len(answer.table.rows) + 1)), *map(sum, counts)]
    names = sorted(verdicts(answer), key=len, reverse=True)
    for name in names:
        sentence = sentence.replace(name, "")
    for number in _numbers(sentence):
        assert any(abs(number - each) <= 0.051 * each for each in allowed), (number, answer)


def _numbers(said: str) -> list[float]:
    return [float(found.replace(" ", "")) for found in NUMBER.findall(said)]


def _texts(table: Table) -> list[str]:
    entries = [part for row in table.rows for value in row.values for part in (value.text, value.note)]
    return [heading.text for heading in table.headings] + entries

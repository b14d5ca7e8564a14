"""Tables of a section: empty columns, and numbers that are missing or infinite."""

import math

from reports.views.parts.table import Column, number, tabulate, words
from results import format as text


def test_a_column_without_values_is_left_out():
    table = tabulate("t", [Column("a", words), Column("b", lambda _: number(math.nan, text.number))], ["x", "y"])
    assert [heading.text for heading in table.headings] == ["a"]
    assert [value.text for row in table.rows for value in row.values] == ["x", "y"]


def test_missing_and_infinite_numbers_are_shown_and_sorted_apart():
    assert number(math.nan, text.error) == number(None, text.error)
    assert number(math.nan, text.error).sort is None
    assert (number(math.inf, text.error).text, number(math.inf, text.error).sort) == ("∞", math.inf)

"""Text in aligned columns: whole lines for programs, wrapped ones for a terminal."""

from bench.answers.columns import aligned

HEADER = ("option", "meaning")
ROWS = [("gradient.budget", "the largest number of states that are stored beside y0"), ("solver.eta", "")]


def test_a_line_is_never_cut_or_wrapped_without_a_width() -> None:
    assert aligned(ROWS, HEADER).splitlines() == [
        "option           meaning",
        "gradient.budget  the largest number of states that are stored beside y0",
        "solver.eta",
    ]


def test_the_last_column_is_wrapped_within_the_width_and_no_word_is_lost() -> None:
    lines = aligned(ROWS, HEADER, width=45).splitlines()
    assert max(map(len, lines)) <= 45
    assert " ".join(lines).split() == aligned(ROWS, HEADER).split()
    assert lines[1:3] == ["gradient.budget  the largest number of states", "                 that are stored beside y0"]


def test_what_has_no_room_beside_the_first_columns_stands_below_them() -> None:
    lines = aligned(ROWS, HEADER, width=32).splitlines()
    assert lines[:3] == ["option", "    meaning", "gradient.budget"]
    assert lines[3:] == ["    the largest number of states", "    that are stored beside y0", "solver.eta"]
    assert max(map(len, lines)) <= 32

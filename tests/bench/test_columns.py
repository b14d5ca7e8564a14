"""Text in aligned columns: whole lines for programs, wrapped ones for a terminal."""

from bench.answers.columns import columns

HEADER = ("option", "meaning")
ROWS = [("gradient.budget", "the largest number of states that are stored beside y0"), ("solver.eta", "")]


def test_a_line_is_never_cut_or_wrapped_without_a_width() -> None:
    assert columns(ROWS, HEADER).splitlines() == [
        "option           meaning",
        "gradient.budget  the largest number of states that are stored beside y0",
        "solver.eta",
    ]


def test_the_last_column_is_wrapped_within_the_width_and_no_word_is_lost() -> None:
    lines = columns(ROWS, HEADER, width=45).splitlines()
    assert max(map(len, lines)) <= 45
    assert " ".join(lines).split() == columns(ROWS, HEADER).split()
    assert lines[1:3] == ["gradient.budget  the largest number of states", "                 that are stored beside y0"]


def test_a_narrow_terminal_leaves_the_last_column_readable() -> None:
    assert max(len(line) - 17 for line in columns(ROWS, HEADER, width=20).splitlines()) <= 24

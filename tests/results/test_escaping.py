"""Texts of any origin in a terminal, CSV, Markdown and LaTeX: they mean themselves and nothing else."""

import csv
import io

import pytest

from results.escaping import csv_lines, latex, markdown, no_formula, one_line, visible


def test_hidden_characters_are_seen_and_all_others_stay():
    assert visible("a\u202eb\u200bc\x1b[1m\ud800\r") == r"a\u202eb\u200bc\x1b[1m\ud800\r"
    plain = "µs ≥ 1\N{NARROW NO-BREAK SPACE}000\N{NO-BREAK SPACE}s, 日本\n\tx"
    assert visible(plain) == plain


def test_several_lines_become_one():
    assert one_line(" a\r\n\n  b\tc\n") == "a b c"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "'=1", "＝1"])
def test_no_text_begins_like_a_formula_and_numbers_and_names_stay(text):
    assert no_formula(text) == f"'{text}"
    assert no_formula("dopri5 = 1") == "dopri5 = 1"
    assert list(csv.reader(io.StringIO(csv_lines([["a,b", 'c"\nd', "e\rf"]]).decode(), newline=""))) == [
        ["a,b", 'c"\nd', "e\rf"]
    ]


def test_markdown_has_no_markup_of_the_text():
    assert markdown("a|b <i>*x*_y_ [z](u) `c` & \\ ~d~ $e$") == (
        r"a\|b &lt;i&gt;\*x\*\_y\_ \[z\](u) \`c\` &amp; \\ \~d\~ \$e\$"
    )
    assert markdown("https://x.y www.x.y") == "https&#58;//x.y www&#46;x.y"


def test_latex_has_no_command_of_the_text_and_the_signs_of_numbers():
    assert latex('a_b^c~d#e$f%g&h{i}\\j[k]<l>"`|') == (
        r"a\_b\textasciicircum{}c\textasciitilde{}d\#e\$f\%g\&h\{i\}\textbackslash{}j{[}k{]}\textless{}l\textgreater{}"
        r"''\textasciigrave{}\textbar{}"
    )
    assert latex("1.2\N{NO-BREAK SPACE}µs ±3 – 2.5× ≈ −∞ 1\N{NARROW NO-BREAK SPACE}000") == (
        r"1.2~\textmu{}s $\pm$3 -- 2.5$\times$ $\approx$ $-$$\infty$ 1\,000"
    )

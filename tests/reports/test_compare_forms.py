"""The forms of a comparison: page, Markdown, summary, CSV and JSON. No text from the database is markup in any."""

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from reports.compare import COLUMNS, Compared, Verdict, as_object, compare, markdown, rows, summary
from reports.page import render_compared
from results.engine.json_text import as_json
from results.tools import sides
from results.tools.formats import STREAMED
from tests.support.hostile_sides import EVIL, FORMULAS, MARKS, hostile_sides
from tests.support.two_sides import MINE, Measured, record


@pytest.fixture
def hostile(store) -> Compared:
    found = compare(*hostile_sides(store))
    assert len(found.of(Verdict.REGRESSED)) == len(FORMULAS) + 1
    assert len(found.of(Verdict.NEW)) == len(found.of(Verdict.GONE)) == 1
    return found


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def test_no_text_is_markup_in_the_page_which_has_no_script_and_loads_nothing(hostile):
    page = render_compared(hostile)
    tags = Tags(page).found
    assert not {tag for tag, _ in tags} & {"script", "a", "img", "link", "iframe"}
    assert not {name for _, attrs in tags for name, _ in attrs if name.startswith("on") or name in ("src", "href")}
    assert not re.search(r"@import|url\(", page)
    assert "alert(1)" in page
    assert not set(MARKS) & set(unescape(page))
    assert r"\u202e" in page


@pytest.mark.parametrize("form", [markdown, summary])
def test_every_text_is_a_code_span_in_markdown(hostile, form):
    said = form(hostile)
    assert not set(MARKS) & set(said)
    outside = re.sub(r"`[^`\n]*`", "", said)
    for part in ("script", "http", "@", "#1", "*b*", "<!--", "&lt;", "alert"):
        assert part not in outside, part
    assert "alert(1)" in said
    for line in said.splitlines():
        if line.startswith("|"):
            assert line.count("|") in (4, 7, 8), line


def test_no_text_is_a_formula_in_csv(hostile):
    file = io.BytesIO()
    STREAMED["csv"](file, COLUMNS, [list(rows(hostile))])
    found = list(csv.DictReader(io.StringIO(file.getvalue().decode())))
    assert len(found) == len(hostile.rows)
    texts = [name for name, kind in COLUMNS.items() if kind is str]
    assert not [row[name] for row in found for name in texts if re.match(r"[=+\-@\t\r\n＝＋－＠]", row[name])]
    assert any(row["detail"].startswith("'=") for row in found)


def test_json_has_every_text_as_it_is(hostile):
    found = json.loads(as_json(as_object(hostile)))
    assert {row["detail"] for row in found["rows"]} >= {f"={EVIL}"}
    assert found["counts"]["regressed"] == {"cells": 7, "rows": 7}


def test_a_summary_fits_into_a_comment_and_says_what_is_left_out(store):
    many = [replace(MINE, dt=0.001 * index, evaluate="x" * 200) for index in range(1, 301)]
    for run_id, error in (("a", 1.0), ("b", 2.0)):
        record(store, run_id, {each: Measured(metrics={"error": error}) for each in many})
    found = compare(sides.named(store, "run:a"), sides.named(store, "run:b"))
    said = summary(found)
    assert 50_000 < len(said) <= 60_000
    assert said.startswith("# nodebench compare\n\n300 numbers regressed and 0 numbers improved")
    shown = said.count("| regressed `") + said.count("| regressed | `")
    assert f"{300 - shown} rows more: `--format markdown` has room for all of them." in said
    assert said.endswith("</details>\n")
    assert markdown(found).count("| `cosine node rk4 dt=") == 300

"""The HTML page: self-contained, linked, escaped, and written whole or not at all."""

import os
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from reports import ReportError, write
from reports.page import SCRIPTS, VENDORED, render, unbroken
from reports.views.parts.answer import Answer
from reports.views.parts.table import Bar, Heading, Row, Table, Value
from reports.views.report import report
from results.records import Planned, Trial
from tests.support import synthetic, synthetic_cells


class Outline(HTMLParser):
    """The ids, the addresses and the tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                self.addresses.append(str(value))


def test_the_page_loads_nothing_from_the_network(html):
    addresses = Outline(html).addresses
    assert addresses
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in addresses)
    own = re.sub(r'<script type="text/plain" class="vendored">.*?</script>', "", html, flags=re.DOTALL)
    assert not re.search(r"@import|url\(", own)
    assert "default-src 'none'" in html  # whatever the libraries might ask for


def test_every_link_has_its_target(html):
    outline = Outline(html)
    assert len(outline.ids) == len(set(outline.ids))
    assert {address[1:] for address in outline.addresses if address.startswith("#")} <= set(outline.ids)


def test_the_answers_come_first_and_every_study_has_its_figures_and_table(html, content):
    outline = Outline(html)
    assert outline.ids.index("answers") < outline.ids.index("where")
    for section in content.sections:
        part = html.partition(f'<section id="study-{section.study}">')[2].partition("</section>")[0]
        panels = sum(len(figure.panels) for figure in section.figures)
        assert part.count('<img class="light"') == part.count('<img class="dark"') == panels > 0
        assert part.count("<table>") == len(section.tables) > 0


def test_every_known_value_has_a_sort_key(html, content):
    known = sum(value.sort is not None for row in content.summary.rows for value in row.values)
    assert html.partition('<section id="cells">')[2].partition("</section>")[0].count("data-sort=") == known


def test_text_from_the_database_is_escaped(store):
    evil = "<script>alert(1)</script>"
    cell = replace(synthetic_cells.plan()[0].cell, problem=evil, solver=evil)
    chosen = replace(cell, solver=f"{evil}2")
    store.begin(
        replace(synthetic.run(), sweep_text=evil, sweep_name=evil), [Planned(evil, cell), Planned(evil, chosen)]
    )
    store.record("run-1", Trial(cell_key=cell.key, kind="counts", metrics={"nfe_forward": 4.0}))
    store.record("run-1", Trial(cell_key=chosen.key, kind="counts", metrics={"nfe_forward": 4.0}))
    store.record("run-1", Trial(cell_key=chosen.key, kind="accuracy", metrics={"error": 0.1}))
    store.record("run-1", Trial(cell_key=cell.key, kind="accuracy", status="error", reason=evil))
    page = render(report(store))
    assert evil not in page
    assert page.count("&lt;script&gt;") > 5
    assert Outline(page).tags.count("script") == len(SCRIPTS) + len(VENDORED) + 2  # two of data


def test_an_answer_is_escaped_and_shows_its_first_rows_at_once(content):
    evil = "<script>alert(1)</script>"
    entry = Value(evil, 1.0, hue=evil, link="", note=evil, bar=Bar(0.0, 1.0, 0.5))
    table = Table(evil, (Heading(evil, False, evil),), (Row((entry,)),) * 20)
    answer = Answer(evil, evil, table, (evil,))
    section = replace(content.sections[0], answers=(answer,), figures=(), tables=())
    page = render(replace(content, sections=(section,)))
    assert evil not in page
    shown, _, folded = page.partition('<div class="answer">')[2].partition("<details>")
    assert (shown.count("<tr>"), folded.partition("</details>")[0].count("<tr>")) == (1 + 7, 1 + 13)
    assert "<summary>13 other choices and details</summary>" in folded


def test_the_beginning_of_a_long_text_is_shown_and_the_rest_is_one_click_away(store):
    cell = synthetic_cells.plan()[0].cell
    store.begin(synthetic.run(), [Planned("solvers", cell)])
    store.record("run-1", Trial(cell_key=cell.key, kind="counts", metrics={"nfe_forward": 4.0}))
    reason = f"it begins {'x' * 1_000_000} and ends"
    store.record("run-1", Trial(cell_key=cell.key, kind="accuracy", status="error", reason=reason))
    page = render(report(store))
    assert f"it begins {'x' * 290}…" in page
    assert "… and 979,719 more characters, which nodebench show --samples prints" in page
    assert max(map(len, re.findall(r"x+", page))) == 20_000


def test_an_exponent_is_not_separated_from_its_number():
    assert unbroken("1e-05 and dt-1") == "1e-\N{WORD JOINER}05 and dt-1"


def test_writing_makes_the_folder_and_leaves_one_readable_file(store, tmp_path):
    begin_small(store)
    path = write(store, tmp_path / "a" / "report")
    assert path == tmp_path / "a" / "report" / "index.html"
    assert os.listdir(path.parent) == ["index.html"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444


def test_writing_again_replaces_the_page(store, tmp_path):
    begin_small(store)
    (tmp_path / "index.html").write_text("old")
    assert write(store, tmp_path).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(os.listdir(tmp_path)) == ["bench.db", "bench.db-shm", "bench.db-wal", "index.html"]


def test_a_page_that_cannot_be_written_leaves_the_old_one(store, tmp_path, monkeypatch):
    begin_small(store)
    (tmp_path / "index.html").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ReportError, match="No space left on device"):
        write(store, tmp_path)
    assert (tmp_path / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.glob("*index*")] == ["index.html"]


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(store, tmp_path):
    begin_small(store)
    (tmp_path / "file").touch()
    with pytest.raises(ReportError) as caught:
        write(store, tmp_path / "file" / "report")
    assert "cannot be written" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["templates/page.html.j2", "static/page.css", "static/page.js"])
def test_the_page_s_parts_are_in_the_package(name):
    assert files("reports").joinpath(name).is_file()


def begin_small(store) -> None:
    store.begin(synthetic.run(), synthetic_cells.plan()[:2])

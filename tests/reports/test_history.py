"""The page of a history: self-contained, escaped, and what it says of its series."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from reports import ReportError, write_history
from reports.charts import chart
from reports.history import form_of, shown
from reports.page import render_history
from results.metrics import METRICS
from results.read.history import Point, Series, history
from results.read.where import Where
from results.records import Planned, Source, Trial
from results.store import Store
from tests.support.histories import CELLS, CHANGED, CONTROL, FLAT, OTHERS, a_run, fill
from tests.support.made import plain

EVIL = "=1+1</title></script><script>alert(1)</script>\u202e\x1b[31m'\"&"


def a_series(values, *, name="forward_s", cell=CHANGED, control=CONTROL) -> Series:
    points = tuple(
        Point(f"{index:08x}-run", 86_400.0 * index, f"revision {index}", index == 2, {}, value)
        for index, value in enumerate(values)
    )
    return Series("e", cell, METRICS[name], points, control)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("history") / "bench.db")
    with Store.open(path, create=True) as store:
        fill(store, 16, {CHANGED: [1.0] * 8 + [1.1] * 8}, noise=0.01, nfe=[40.0] * 15 + [46.0])
    return path


@pytest.fixture
def page(filled) -> str:
    with Store.open(filled) as store:
        return render_history(shown(list(history(store.database, Where())), every=True))


class Outline(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_neither_the_network_nor_a_script(page):
    tags = Outline(page).tags
    assert {"script", "img", "link", "iframe"}.isdisjoint(tag for tag, _ in tags)
    assert not re.search(r"@import|url\(|https?://", page)
    links = [str(named["href"]) for _, named in tags if "href" in named]
    assert links
    assert {link[1:] for link in links} <= {named["id"] for _, named in tags if "id" in named}


def test_every_point_has_its_value_its_run_and_its_revision(page):
    assert page.count("<svg") == 4
    assert page.count("<circle") == 4 * 16
    titles = re.findall(r"<title>(.*?)</title>", page)[1:]
    assert "46 calls, run 0000000f, 2026-06-12, revision f000000000" in plain("\n".join(titles))


def test_times_are_said_to_be_ratios_and_seconds_to_be_less_sure(page):
    assert "seconds of different runs on a shared" in page
    assert plain(page).count(f"seconds of a forward solve, over the same of {CONTROL.label}") == 2
    assert page.count("less sure: no control was timed beside it") == 1


def test_only_what_changed_is_shown_unless_all_is_asked_for(filled):
    with Store.open(filled) as store:
        found = list(history(store.database, Where()))
    changed = shown(found, every=False)
    assert [(one.series.cell, one.series.metric.name) for one in changed.series] == [
        (CHANGED, "nfe_forward"), (CHANGED, "forward_s"), (CONTROL, "forward_s"),
    ]  # fmt: skip
    assert changed.opening == "3 of 4 series, of 3 cells, changed over 16 runs."
    step = changed.series[0].changes[0]
    assert plain(step.line) == "40 calls → 46 calls (+15 %) at run 0000000f, 2026-06-12, revision f000000000"


def test_text_from_the_database_is_escaped_and_what_hides_in_it_is_seen(store, tmp_path):
    cell = replace(CHANGED, problem=EVIL, backend=EVIL, solver=EVIL, dtype=EVIL, device=EVIL, optimiser=EVIL)
    for number, value in enumerate((1.0, 2.0)):
        source = Source(dict.fromkeys(("library", "adapter", "problem", "measure", EVIL), f"{EVIL} {number}"))
        of_run = a_run(number, id=f"{number}{EVIL}", git_revision=EVIL, sweep_name=EVIL)
        store.begin(of_run, [Planned(EVIL, cell)], [source])
        trial = Trial(cell_key=cell.key, kind="counts", metrics={"nfe_forward": value}, source=source.key)
        store.record(of_run.id, trial)
    path = write_history(shown(list(history(store.database, Where())), every=True), tmp_path)
    page = path.read_text(encoding="utf-8")
    assert path.name == "history.html"
    assert "&lt;script&gt;alert(1)" in page
    assert "script" not in {tag for tag, _ in Outline(page).tags}
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "\\u202e" in page


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"history\.html cannot be written .*: pass another folder with -o"):
        write_history(shown([a_series([1.0, 2.0])], every=True), tmp_path / "file")


def test_no_series_and_no_change_are_said(tmp_path):
    assert "No series changed." in render_history(shown([a_series([1.0] * 12)], every=False))


def test_cells_that_change_together_point_to_their_control():
    up = [1.0] * 8 + [1.2] * 8
    cells = (CHANGED, FLAT, *OTHERS)
    (_, notice) = shown([a_series(up, cell=cell) for cell in cells], every=False).notices
    assert notice.startswith("forward_s of 4 of 4 cells rose together at run 00000008: it may be their control")
    flat = [a_series([1.0] * 16, cell=replace(FLAT, seed=seed)) for seed in range(5)]
    assert len(shown([*(a_series(up, cell=cell) for cell in cells), *flat], every=False).notices) == 1


def test_what_is_too_short_to_be_tested_and_how_many_marks_are_false_is_said():
    few, many = a_series([1.0] * 10), a_series([1.0] * 11)
    assert shown([few], every=True).notices[0].startswith("1 series has fewer than 11 values that vary")
    assert "about 0.02 would be marked" in shown([many, many], every=True).notices[0]
    exact = a_series([1.0] * 5, name="error", control=None)
    assert shown([exact], every=True).notices == ()


def test_the_size_of_a_step_shows_digits_in_which_its_values_differ():
    told = shown([a_series([0.1, 0.1 + 1e-12], name="error", control=None)], every=False).series[0].changes[0]
    assert plain(told.size) == "0.1 → 0.100000000001 (+0.0000000010 %)"
    told = shown([a_series([0.0, math.inf], name="error", control=None)], every=False).series[0].changes[0]
    assert plain(told.size) == "0 → ∞"


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [1.0, math.inf], [math.inf], [-1e308, 1e308], [0.0, 5e-324]])
def test_every_point_is_within_its_chart(values):
    series = a_series(values, name="error", control=None)
    drawn = chart(series, form_of(series))
    for dot in drawn.dots:
        assert 0 < dot.x < drawn.width
        assert 0 < dot.y < drawn.height


def test_cells_of_the_fixture_are_one_block():
    assert len({cell.block for cell in (*CELLS, *OTHERS)}) == 1

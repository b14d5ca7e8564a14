"""Markup, ends of scripts, formulas, commands and right-to-left marks in every text of a database."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from reports import list_figures, write_figure, write_table
from reports.page import SCRIPTS, VENDORED, render
from reports.views.report import report
from results.records import Cell, Curve, Planned, Sample, Trial, canonical
from results.store import Store
from results.tools import annotations, baselines
from tests.support import synthetic

HOSTILE = (
    "=1+1|</script><script>alert(1)</script></td><!-- \u202e\u2066\x1b[31m\r\n"
    "${x}$ \\input{/etc/passwd} %_&#~^ `c` *b* [a](http://x) | @x '\" {{ 7*7 }} {% x %}"
)
CELL = Cell(
    problem=HOSTILE,
    backend=HOSTILE,
    solver=HOSTILE,
    horizon=1.0,
    n_outputs=2,
    rtol=1e-3,
    atol=1e-5,
    gradient=HOSTILE,
    dtype=HOSTILE,
    device=HOSTILE,
    optimiser=HOSTILE,
    evaluate=HOSTILE,
    options=canonical({"problem.width": HOSTILE, "solver.eta": HOSTILE}),
)
CELLS = (CELL, replace(CELL, rtol=1e-4, atol=1e-6), replace(CELL, rtol=1e-5, atol=1e-7))


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("hostile") / "bench.db")
    machine = replace(synthetic.MACHINE, facts={"cpu": HOSTILE, HOSTILE: HOSTILE})
    run = replace(
        synthetic.run(),
        sweep_name=HOSTILE,
        sweep_text=HOSTILE,
        environment=machine,
        git_revision=HOSTILE,
        volatile={HOSTILE: HOSTILE},
    )
    with Store.open(path, create=True) as store:
        store.begin(run, [Planned(study, cell) for cell in CELLS for study in ("adaptive", HOSTILE)])
        for error, cell in enumerate(CELLS, start=1):
            metrics = {"error": 1 / error, "nfe_forward": 10.0 * error}
            store.record("run-1", Trial(cell_key=cell.key, kind="accuracy", metrics=metrics, log_tail=HOSTILE))
            samples = {"forward_s": [Sample(index, 0, 0.1 * error + 0.01 * index) for index in range(3)]}
            curves = {HOSTILE: Curve([0.0], [[1.0]])}
            store.record("run-1", Trial(cell_key=cell.key, kind="timing", samples=samples, curves=curves))
        failed = {"status": "error", "reason": HOSTILE, "log_tail": HOSTILE}
        store.record("run-1", Trial(cell_key=CELL.key, kind="memory", **failed))
        store.finish("run-1", state="complete")
        annotations.annotate(store, CELL.key, HOSTILE, author=HOSTILE)
        baselines.keep(store, HOSTILE, note=HOSTILE, run_start="run-1")
    return path


@pytest.fixture
def store(path):
    with Store.open(path) as opened:
        yield opened


def assert_nothing_is_hidden(text: str) -> None:
    assert re.search("[\u202e\u2066\x1b\r]", text) is None


def test_the_page_has_no_markup_of_the_database(store):
    page = render(report(store))
    tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            assert all("alert" not in str(value) or name in ("title", "alt", "data-sort", "aria-label", "id", "href")
                       for name, value in attrs)  # fmt: skip

        def handle_comment(self, data):
            raise AssertionError(data)

    Tags().feed(page)
    assert tags.count("script") == len(SCRIPTS) + len(VENDORED) + 1  # one of data: there is no choice
    assert "alert(1)" in page
    assert "7*7" in page
    assert_nothing_is_hidden(page)


def test_a_csv_has_no_formula_and_its_texts_are_whole(store, tmp_path):
    write_table(store, tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(CELLS)
    assert all(row["solver"].startswith("'=1+1|</script>") for row in rows)
    assert all(re.fullmatch(r"[-0-9.e]*", value) or value[0] not in "=+-@" for row in rows for value in row.values())
    assert_nothing_is_hidden(text)


def test_markdown_has_a_table_of_plain_texts_and_nothing_else(store, tmp_path):
    write_table(store, tmp_path / "a.md")
    text = (tmp_path / "a.md").read_text("utf-8")
    lines = text.splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert len(lines) == 2 + len(CELLS)
    plain = re.sub(r"\\[\\`*_\[\]|~$]|&(lt|gt|amp|#\d+);", "", text)
    assert re.search(r"[<>`*_\[\]~$&]|://", plain) is None
    assert_nothing_is_hidden(text)


def test_latex_has_no_command_of_the_database(store, tmp_path):
    write_table(store, tmp_path / "a.tex")
    text = (tmp_path / "a.tex").read_text("utf-8")
    rows = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    heading = next(line for line in text.splitlines() if line.startswith("cell"))
    escaped = r"\\[{}$&#%_,]|\\text\w+\{\}|\$(\\times|\\pm|\\approx|\\infty|-)\$|\{[\[\]]\}|~"
    assert {re.sub(escaped, "", row).count("&") for row in rows.splitlines()} == {heading.count("&")}
    assert all(row.endswith(r"\\") for row in rows.splitlines())
    assert re.search(r"[\\{}$#%_^~`\"<>|]", re.sub(escaped, "", rows.replace(" \\\\\n", "\n"))) is None
    assert_nothing_is_hidden(text)


def test_a_figure_shows_the_names_as_they_are_written(store, tmp_path):
    listed = list_figures(store)
    names = [name for (whole, _), panels in listed for name in (whole, *panels)]
    assert "adaptive/error-against-time" in names
    assert all(re.fullmatch(r"[a-z0-9._/-]+", name) for name in names)
    for suffix in ("svg", "pdf", "png"):
        write_figure(store, "adaptive/error-against-time", tmp_path / f"a.{suffix}", width=6.5)
    text = (tmp_path / "a.svg").read_text("utf-8")
    root = ElementTree.fromstring(text)
    said = "".join(root.itertext())
    assert "</script><script>" in said
    assert r"${x}$ \input{/etc/passwd}" in said
    assert not [each for each in root.iter() if each.tag.endswith("script")]
    assert_nothing_is_hidden(text)


@pytest.mark.parametrize("asked", [(CELL.key,), (CELL.key, "--samples"), (), ("rtol=0.001,0.0001",)])
def test_the_terminal_gets_no_escape_sequence_of_the_database(call, path, asked):
    code, out, err = call("show", *asked, "--db", path)
    assert (code, err) == (0, "")
    assert "</script>" in out
    assert_nothing_is_hidden(out)

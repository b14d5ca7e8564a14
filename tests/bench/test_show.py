"""`nodebench show`: a cell on one screen, its raw samples, a table of several cells."""

import re
import shlex
import sys
from dataclasses import replace

import pytest

from reports.views.parts import columns
from results import format as text
from results.records import Planned, canonical
from results.statistics.ratio import median
from results.store import Store
from tests.support.stocked import CELLS, PLAN, a_run, stock


@pytest.fixture
def stocked(url) -> str:
    with Store.open(url, create=True) as store:
        stock(store)
    return url


def test_a_note_is_stored_and_shown(call, stocked):
    code, out, _ = call("db", "annotate", CELLS[1].key[:8], "look at this", "--db", stocked)
    assert (code, out) == (0, f"noted on cell {CELLS[1].key}\n")
    out = call("show", CELLS[1].key, "--db", stocked)[1]
    assert re.search(r"\n\S+ \S+ UTC +\w+ +cell +look at this\n", out)
    assert re.search(r"UTC +me +run a-1 +a warm day\n", out)


def test_the_samples_and_the_output_of_the_processes_are_shown_only_when_asked_for(call, stocked):
    screen = call("show", CELLS[0].key, "--db", stocked)[1]
    assert "a line" not in screen
    assert "\nsamples\n" not in screen
    out = call("show", CELLS[0].key, "--samples", "--db", stocked)[1]
    assert out.startswith(screen.partition("\nits raw samples")[0])
    tables, *printed = out.split("\nprinted by ")
    assert printed[0] == "timing 0 of run a-2\n    a line\n    and another\n"
    trials = tables.partition("\ntrials\n")[2].partition("\n\n")[0].splitlines()
    assert trials[0].split() == ["kind", "process_index", "status", "reason", "duration_s", "position", "code"]
    assert trials[1].endswith("changed since")
    assert tables.partition("\nsamples\n")[2].count("forward_s") == 6


@pytest.fixture(scope="module")
def timed(measured_path):
    """A cell with a gradient that was timed beside a control, which is another cell, and the page's values of it."""
    from reports.views.selection import select

    with Store.open(str(measured_path)) as store:
        cells = select(store).cells.values()
    return next(each for each in cells if "gradient_s" in each.ratios and each.cell.problem == "spiral")


def test_a_cell_has_the_numbers_of_the_page_on_one_screen(call, timed, measured_path):
    code, out, _ = call("show", timed.key, "--db", str(measured_path))
    assert code == 0
    assert len(out.splitlines()) <= 40
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    page = columns.time(timed, "gradient_s")
    assert f"{page.text}  {page.note}" in re.sub(" {2,}", "  ", rows["gradient_s"])
    assert text.error(timed.value("gradient_error")) in rows["gradient_error"]
    assert text.size(timed.value("peak_bytes")) in rows["peak_bytes"]
    assert f"{text.count(timed.value('nfe_forward'))}{text.TIGHT}calls" in rows["nfe_forward"]
    assert f"gradient_s {text.ratio(timed.ratios['gradient_s'])}" in out
    assert "3 timing ok" in out
    assert f"measure it again: nodebench run default --only key={timed.key[:8]} --again all" in out


def test_the_screen_fits_a_terminal_of_80_columns_but_for_the_commands(call, timed, measured_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    out = call("show", timed.key, "--db", str(measured_path))[1]
    lines = [line for line in out.splitlines() if "nodebench" not in line]
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 35


def test_axes_choose_several_cells_and_the_table_tells_them_apart(call, measured_path):
    code, out, _ = call(
        "show", "problem=spiral", "solver=dopri5", "gradient=none", "device=cpu", "--db", str(measured_path)
    )
    assert code == 0
    first, _, header, *rows = out.splitlines()
    assert first.startswith("8 cells, environment ")
    assert "all spiral dopri5" in first
    assert header.split() == ["key", "status", "forward", "error", "cell"]
    with Store.open(str(measured_path)) as store:
        cells = store.cells()
        samples = store.samples()
    assert len(rows) == 8
    for row in rows:
        key, status = row.split()[:2]
        whole = next(each for each in cells["key"] if each.startswith(key))
        own = samples[(samples["cell_key"] == whole) & (samples["name"] == "forward_s") & (samples["kind"] == "timing")]
        assert status == "ok"
        assert text.seconds(median(own["value"])) in row
        assert re.search(r"(node|torchdiffeq) rtol=\S+ atol=\S+$", row)


def test_axes_that_choose_one_cell_print_it_as_its_key_does(call, timed, measured_path):
    on = ("--db", str(measured_path))
    by_key = call("show", timed.key, *on)[1]
    axes = shlex.split(by_key.splitlines()[2])
    assert {"problem=spiral", "solver=dopri5", "gradient=backprop", "dtype=float64"} <= {*axes}
    assert not any(axis.startswith(("threads", "seed", "iterations")) for axis in axes)
    assert call("show", *axes, "device=cpu", *on)[1] == by_key
    assert call("show", f"key={timed.key[:10]}", *on)[1] == by_key


def test_the_axes_of_a_cell_choose_it_whatever_their_texts_are(call, store, tmp_path):
    odd = [
        replace(CELLS[0], evaluate="euler dt=0.1; dopri5 rtol=1e-6 atol=1e-8", optimiser="it's"),
        replace(CELLS[0], options=canonical({"problem.flag": True, "problem.name": "64", "solver.eta": 0.5})),
        replace(CELLS[0], options=canonical({"problem.flag": 1, "problem.name": 64})),
    ]
    store.begin(a_run("a-1"), [Planned("solvers", cell) for cell in odd])
    on = ("--db", str(tmp_path / "bench.db"))
    for cell in odd:
        by_key = call("show", cell.key, *on)[1]
        assert by_key.startswith(f"{cell.key}  pending\n{cell.label}\n")
        assert call("show", *shlex.split(by_key.splitlines()[2]), *on)[1] == by_key


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("problem=spirl",), r"^nodebench: no cell has problem='spirl'. Did you mean 'spiral'\? There are: 'cosine'"),
        (("solvr=dopri5",), r"^nodebench: unknown field 'solvr'. Did you mean 'solver'\?"),
        (("zz",), "no cell whose key begins with 'zz' .* axes are written as in solver=dopri5"),
        (("problem=spiral", "--samples"), r"--samples prints those of one cell, and these are \d+"),
        (("problem=spiral", "--environment", "zz"), "no environment begins with 'zz'"),
    ],
)
def test_what_chooses_no_cell_is_answered_in_one_line_with_the_known_values(call, measured_path, asked, said):
    code, out, err = call("show", *asked, "--db", str(measured_path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(said, err)


def test_each_environment_has_its_own_numbers_and_the_others_are_named(call, stocked):
    with Store.open(stocked) as store:
        runs = store.runs()
    first, last = runs["fingerprint"].iloc[0], runs["fingerprint"].iloc[1]
    out = call("show", CELLS[1].key, "--db", stocked)[1]
    assert f"environment {last[:8]}" in out
    assert f"other numbers in 1 other environment (--environment): {first[:8]}" in out
    assert re.search(r"forward_s +22.0\ss", out)
    out = call("show", CELLS[1].key, "--environment", first[:6], "--db", stocked)[1]
    assert re.search(r"forward_s +12.0\ss", out)


def test_a_cell_that_is_planned_and_not_measured_is_pending(call, store, tmp_path):
    store.begin(a_run("a-1"), PLAN)
    code, out, _ = call("show", CELLS[0].key, "--db", str(tmp_path / "bench.db"))
    assert code == 0
    assert out.startswith(f"{CELLS[0].key}  pending\n{CELLS[0].label}\n")
    assert "not measured yet" in out
    assert "nodebench run small.toml --only key=" in out

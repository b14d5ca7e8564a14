"""`nodebench history`: lines for people, rows for programs, and one line where there is no history."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from bench.answers.sparkline import sparkline
from results.records import Planned, Trial
from results.store import Store
from tests.support.histories import CHANGED, CONTROL, FLAT, a_run, fill
from tests.support.made import plain
from tests.support.places import ROOT
from tests.support.programs import MODULE

ENDS = ("has no run yet: nodebench run SWEEP records one", "in 1 run: nodebench show lists", "begins with two")


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("history") / "bench.db")
    with Store.open(path, create=True) as store:
        fill(store, 16, {CHANGED: [1.0] * 8 + [1.1] * 8}, noise=0.01, nfe=[40.0] * 15 + [46.0])
    return path


def test_a_line_has_cell_metric_sparkline_and_change(call, filled):
    code, out, err = call("history", "--db", filled)
    assert (code, err) == (0, "")
    header, *lines = plain(out).split("\n\n")[0].splitlines()
    assert header.split() == ["key", "metric", "runs", "cell", "change"]
    assert [line.split()[:2] for line in lines] == [
        [CHANGED.key[:8], "nfe_forward"], [CHANGED.key[:8], "forward_s"], [CONTROL.key[:8], "forward_s"],
    ]  # fmt: skip
    assert re.search(
        rf"▁{{15}}█  {re.escape(CHANGED.label)} +40 calls → 46 calls \(\+15 %\) at run 0000000f, 2026-06-12, "
        "revision f000000000$",
        lines[0],
    )
    assert re.search(r"[▁▂▃▄▅▆▇█]{16}  .* \+\d+(\.\d)? % at run 00000008, 2026-06-05, revision 8000000000$", lines[1])
    assert "3 of 4 series, of 3 cells, changed over 16 runs." in out


def test_what_did_not_change_is_shown_when_asked_for(call, filled):
    assert "no change" not in call("history", "--db", filled)[1]
    out = call("history", "--all", "--db", filled)[1]
    assert re.search(rf"{re.escape(FLAT.label)} +no change", out)


def test_every_line_fits_a_terminal_of_80_columns(call, filled, monkeypatch):
    monkeypatch.setattr("bench.answers.columns.shutil.get_terminal_size", lambda: type("Size", (), {"columns": 80}))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out = call("history", "--all", "--db", filled)[1]
    assert max(map(len, out.splitlines())) <= 80
    assert "at run 00000008" in " ".join(out.split())


def test_the_filter_and_the_metric_choose_series_and_a_wrong_name_is_answered_with_the_nearest(call, filled):
    out = call("history", "--only", f"key={FLAT.key}", "--metric", "forward_s", "--all", "--db", filled)[1]
    assert "0 of 1 series, of 1 cell, changed over 16 runs." in out
    code, out, err = call("history", "--metric", "foward_s", "--db", filled)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no metric is called 'foward_s'. Did you mean 'forward_s'?" in err


def streamed(url: str, *options: str) -> tuple[str, str]:
    """The stdout and stderr of the command as a process of its own, in a terminal of ASCII."""
    command = [*MODULE, "history", "--db", url, *options]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(command, env=variables, capture_output=True, check=True)
    return done.stdout.decode(), done.stderr.decode()


def test_csv_has_a_row_for_each_value(filled):
    rows = list(csv.DictReader(io.StringIO(streamed(filled, "--format", "csv", "--all")[0])))
    assert len(rows) == 4 * 16
    (step,) = [row for row in rows if row["metric"] == "nfe_forward" and row["change"]]
    assert (step["run_id"], step["value"], step["change"], step["p_value"]) == ("0000000f-run", "46.0", "0.15", "0.0")


def test_json_has_a_row_for_each_value_of_what_changed(filled):
    rows = json.loads(streamed(filled, "--format", "json", "--metric", "forward_s")[0])
    assert len(rows) == 2 * 16
    assert {(row["cell_key"], row["unit"], row["control"]) for row in rows} == {
        (CHANGED.key, "1", CONTROL.key), (CONTROL.key, "s", None),
    }  # fmt: skip
    assert rows[0]["code"]["library"] == "node aaaa"


def test_a_database_without_a_history_is_told_in_one_line(call, tmp_path):
    url = str(tmp_path / "bench.db")
    Store.open(url, create=True).__exit__()
    said = [call("history", "--db", url)]
    with Store.open(url, write=True) as store:
        store.begin(a_run(0), [Planned("solvers", FLAT)])
        store.record(a_run(0).id, Trial(cell_key=FLAT.key, kind="counts", status="crashed", reason="gone"))
    said.append(call("history", "--db", url))
    with Store.open(url, write=True) as store:
        store.begin(a_run(1), [Planned("solvers", CHANGED)])
        store.record(a_run(1).id, Trial(cell_key=CHANGED.key, kind="counts", metrics={"nfe_forward": 4.0}))
    said.append(call("history", "--all", "-o", str(tmp_path / "page"), "--db", url))
    assert [(code, out.count("\n"), err) for code, out, err in said] == [(0, 1, "")] * 3
    for (_, out, _), expected in zip(said, ENDS, strict=True):
        assert expected in out
    assert not (tmp_path / "page").exists()
    out, err = streamed(url, "--format", "json")
    assert json.loads(out) == []
    assert "a history begins with two" in err


def test_a_text_of_the_database_is_one_line_and_no_formula(call, tmp_path):
    url, evil = str(tmp_path / "bench.db"), "=cmd|'/c'\n\x1b[31m\u202e"
    cell = replace(CHANGED, problem=evil)
    with Store.open(url, create=True) as store:
        for number, value in enumerate((1.0, 2.0)):
            of_run = a_run(number, id=f"{number}{evil}", git_revision=evil)
            store.begin(of_run, [Planned("solvers", cell)])
            store.record(of_run.id, Trial(cell_key=cell.key, kind="counts", metrics={"nfe_forward": value}))
    out = call("history", "--db", url)[1]
    assert len(out.splitlines()) == 4
    assert {"\x1b", "\u202e"}.isdisjoint(out)
    rows = list(csv.DictReader(io.StringIO(streamed(url, "--format", "csv")[0], newline="")))
    assert {row["cell"][:2] for row in rows} == {"'="}
    assert {row["git_revision"][:2] for row in rows} == {"'="}


def test_a_sparkline_has_a_sign_for_each_of_the_newest_40_numbers():
    assert sparkline([0.0, 1.0, 7.0, 3.0], "utf-8") == "▁▂█▄"
    assert sparkline([5.0, 5.0], "utf-8") == "▄▄"
    assert sparkline([1.0, float("inf"), 2.0], "utf-8") == "▁██"
    assert sparkline([-1e308, 1e308], "utf-8") == "▁█"
    assert len(sparkline(range(100), "utf-8")) == 40
    assert sparkline([], "utf-8") == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "none such"])
def test_an_encoding_without_blocks_gets_digits(encoding):
    assert sparkline([0.0, 7.0], encoding) == "18"

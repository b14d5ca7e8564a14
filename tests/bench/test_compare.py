"""`nodebench compare`: the names of its sides, its exit codes and what it prints."""

import json
import os
import re
import subprocess
import sys

import pytest

from bench.answers.comparison import print_compared
from reports.compare import compare
from results.store import Store
from results.tools import baselines, sides
from tests.support.hostile_sides import MARKS, hostile_sides
from tests.support.places import ROOT
from tests.support.two_sides import CONTROL, MINE, PEER, THERE, Measured, record

USUAL = {CONTROL: Measured(1.0), MINE: Measured(4.0, "1", {"error": 1.0}), PEER: Measured(6.0)}
WORSE = {**USUAL, MINE: Measured(8.0, "2", {"error": 2.0})}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Databases: `bench.db` has a run a1 with a baseline, and a worse run b1; `other.db` has the run b1 alone."""
    folder = tmp_path_factory.mktemp("compare")
    with Store.open(str(folder / "bench.db"), create=True) as store:
        record(store, "a1", USUAL, revision="aaaa1111")
        baselines.keep(store, "before")
        record(store, "b1", WORSE, revision="bbbb2222")
    with Store.open(str(folder / "other.db"), create=True) as store:
        record(store, "b1", WORSE, revision="bbbb2222")
    return folder


@pytest.fixture
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("before", "bench.db"),
        ("a1", "b1"),
        ("aaaa", "bbbb"),
        ("baseline:before", "run:b"),
        ("a1", "other.db"),
        ("before", "sqlite:///other.db"),
    ],
)
def test_every_kind_of_name_gives_the_same_two_regressions(call, there, a, b):
    code, out, _ = call("compare", a, b, "--db", "bench.db")
    assert code == 0
    assert out.startswith("2 numbers regressed and 0 numbers improved, of 7 numbers in 3 cells.\n")
    assert "    error      1.0e+00 → 2.0e+00" in out


def test_only_strict_makes_a_regression_an_exit_code(call, there):
    assert call("compare", "a1", "b1", "--db", "bench.db", "--strict")[0] == 1
    assert call("compare", "b1", "a1", "--db", "bench.db", "--strict")[0] == 0


def test_the_page_is_written_where_it_is_asked_for(call, there, tmp_path):
    code, out, _ = call("compare", "a1", "b1", "--db", "bench.db", "-o", str(tmp_path / "pages"))
    assert code == 0
    assert out.endswith(f"page: {tmp_path}/pages/compare.html\n")
    assert "2 numbers regressed" in (tmp_path / "pages" / "compare.html").read_text()


@pytest.mark.parametrize(
    ("form", "start"), [("json", "{"), ("csv", "verdict,cell_key,cell,"), ("github", "# nodebench")]
)
def test_stdout_has_the_form_that_is_asked_for_and_nothing_else(there, tmp_path, form, start):
    command = ["compare", "a1", "b1", "--db", "bench.db", "--format", form, "-o", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "bench", *command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith(start)
    assert ended.stderr == f"nodebench: page: {tmp_path}/compare.html\n"
    if form == "json":
        assert json.loads(ended.stdout)["counts"]["regressed"] == {"cells": 1, "rows": 2}


def test_every_number_is_found_again_with_the_command_that_the_answer_names(call, there):
    out = call("compare", "a1", "b1", "--db", "bench.db")[1]
    shown = [line.split()[1:] for line in out.splitlines() if line.startswith("   nodebench show")]
    assert shown == [["show", "KEY", "--of", f"run:{run}", "--db", "bench.db"] for run in ("a1", "b1")]
    for words, error in zip(shown, ("1.0e+00", "2.0e+00"), strict=True):
        code, said, _ = call(*(MINE.key if word == "KEY" else word for word in words))
        assert code == 0
        assert re.search(rf"^error +{re.escape(error)} ", said, re.MULTILINE), said


@pytest.mark.parametrize(
    ("a", "said"),
    [
        ("befor", "'befor' is no database, and no baseline, run, git revision or environment in bench.db. "
                  "Did you mean 'before'? There are, the newest last: baselines before; runs a1, b1; revisions "),
        ("nothing.db", "no database at nothing.db: "),
        ("no/where", "no database at no/where: "),
        ("~no_such_user/x.db", "~no_such_user/x.db: no home folder is known for ~no_such_user"),
        ("x" * 5000, "'xxx"),
        (" ", "a name is empty: give a database, a baseline, or the start of a run, revision or environment"),
        ("", "a name is empty: give a database, a baseline, or the start of a run, revision or environment"),
        ("run:z", "'run:z' is no database, and no baseline, run, "),
    ],
)  # fmt: skip
def test_a_name_that_stands_for_nothing_is_refused_in_one_line(call, there, a, said):
    code, out, error = call("compare", a, "b1", "--db", "bench.db")
    assert (code, out) == (2, "")
    assert error.startswith(f"nodebench: {said}")
    assert error.count("\n") == 1


def test_a_name_of_several_things_is_refused_with_all_of_them(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store.open("bench.db", create=True) as store:
        record(store, "ab1", USUAL, revision="ab77")
        record(store, "b1", USUAL)
        record(store, "b2", USUAL, environment=THERE, revision="ab77")
    error = call("compare", "ab", "b1", "--db", "bench.db")[2]
    assert error == ("nodebench: 'ab' is the name or the start of 2 in bench.db: write one of run:ab1, revision:ab77\n")
    (tmp_path / "b1").touch()
    assert call("compare", "b1", "ab1", "--db", "bench.db")[2] == (
        "nodebench: b1 is a file here, and run b1 in bench.db: write ./b1 or run:b1\n"
    )
    assert (
        "revision ab77 was measured in 2 environments, whose times are not compared: pass --environment with one"
        in (call("compare", "revision:ab", "run:b1", "--db", "bench.db")[2])
    )
    code, out, _ = call("compare", "revision:ab", "b2", "--db", "bench.db", "--environment", THERE.fingerprint[:6])
    assert (code, "0 numbers regressed" in out) == (0, True)


def test_a_filter_that_no_cell_of_either_side_meets_is_refused(call, there):
    assert call("compare", "a1", "other.db", "--db", "bench.db", "--only", "solver=rk4")[0] == 0
    code, _, error = call("compare", "a1", "other.db", "--db", "bench.db", "--only", "solver=rk5")
    assert (code, error.startswith("nodebench: only: ")) == (2, True)


def test_no_text_commands_the_terminal(store, capsys):
    print_compared(compare(*hostile_sides(store)), every=True)
    out = capsys.readouterr().out
    assert not set(MARKS + "\x1b\x9b\r") & set(out)
    assert out.splitlines()[0] == "7 numbers regressed and 0 numbers improved, of 7 numbers in 7 cells."
    assert "[a](http://x)" in out


def test_a_terminal_of_80_columns_holds_every_line_but_the_commands(store, capsys, monkeypatch):
    for run_id, code in (("a", "1"), ("b", "2")):
        usual = {CONTROL: Measured(1.0), PEER: Measured(6.0)}
        record(store, run_id, {**usual, MINE: Measured(4.0 if code == "1" else 8.0, code, {"error": float(code)})})
    found = compare(sides.named(store, "run:a"), sides.named(store, "run:b"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    print_compared(found, every=True)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if "nodebench show" not in line) <= 80
    assert lines[0] == "2 numbers regressed and 0 numbers improved, of 7 numbers in 3 cells."
    assert lines.index("regressed: 2 numbers of 1 cell") < lines.index("within noise: 2 numbers of 2 cells")

"""The verbs of `nodebench db`, each for real, and one clear line for every mistake."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from stocked import CELLS, contents, counts, measure, stock

from bench.cli import main
from results.store import Store

OLD = Path(__file__).parent / "databases" / "version_1.db"
VERBS = ("stats", "merge", "export", "import", "prune", "baseline", "baselines", "annotate", "backup", "upgrade")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a verb of `nodebench db` in this process: (exit code, stdout, stderr)."""

    def run(*arguments: str, group: tuple[str, ...] = ("db",)) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nodebench", *group, *arguments])
        terminate = signal.getsignal(signal.SIGTERM)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, terminate)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def stocked(url, folder) -> str:
    with Store.open(url, create=True) as store:
        stock(store)
    return url


def files(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm")))


def test_the_help_names_every_verb(call):
    code, out, _ = call("--help")
    assert code == 0
    for verb in VERBS:
        assert re.search(rf"^\W*{verb} ", out, re.MULTILINE), verb
    assert "db " in call("--help", group=())[1]


def test_stats_tell_a_newcomer_what_is_there(call, stocked):
    code, out, err = call("stats", "--db", stocked)
    assert (code, err) == (0, "")
    assert "schema version 3" in out
    assert "SQLite" in out or "PostgreSQL" in out
    assert re.search(r"^runs +2 complete, 1 running$", out, re.MULTILINE)
    assert re.search(r"^trials +12 ok, 1 interrupted$", out, re.MULTILINE)
    assert re.search(r"^sample +36$", out, re.MULTILINE)
    assert re.search(r"^baselines +baseline of a$", out, re.MULTILINE)
    assert re.search(r"^a-3 +small +\w+ +running +1970-01-01", out, re.MULTILINE)
    assert "cpu one" in out


def test_stats_of_an_empty_database(call, folder):
    Store.open("bench.db", create=True).__exit__()
    code, out, _ = call("stats", "--db", "bench.db")
    assert code == 0
    assert re.search(r"^trials +none$", out, re.MULTILINE)
    assert re.search(r"^measured +none$", out, re.MULTILINE)


def test_stats_count_free_pages_and_spooled_trials(call, folder):
    with Store.open("bench.db", create=True) as store:
        measure(store, "old", started_at=1.0, processes=40)
        with store.database.writing() as connection:
            connection.exec_driver_sql("delete from sample")
    Path("bench.db.spool").mkdir()
    Path("bench.db.spool/1-a.json").write_text("{}")
    _, out, _ = call("stats", "--db", "bench.db")
    assert re.search(r"KiB, [\d.]+ KiB of it free", out)
    assert re.search(r"^spooled +1 trials wait", out, re.MULTILINE)


def test_merge_says_what_came_in(call, stocked, folder):
    code, out, _ = call("merge", stocked, "--db", "sum.db")
    assert code == 0
    assert "2 sweeps, 2 environments, 3 cells, 1 reference, 3 runs, 9 planned cells, 13 trials" in out
    assert "1 noise floor, 2 annotations, 1 baseline" in out
    with Store.open("sum.db") as ours, Store.open(stocked) as theirs:
        assert contents(ours, "lease") == contents(theirs, "lease")
    code, out, _ = call("merge", stocked, "--db", "sum.db")
    assert (code, out.rpartition(": ")[2]) == (0, "nothing that was not here\n")


def test_merge_tells_of_baselines_that_differ(call, folder):
    for name in ("ours", "theirs"):
        with Store.open(f"{name}.db", create=True) as store:
            measure(store, name, started_at=1.0)
        call("baseline", "good", "--db", f"{name}.db")
    code, out, _ = call("merge", "theirs.db", "--db", "ours.db")
    assert code == 0
    assert "baseline 'good' names other trials there: ours stays" in out


def test_merge_upgrades_an_older_database_and_says_where_its_backup_is(call, folder):
    Path("old.db").write_bytes(OLD.read_bytes())
    code, _, err = call("merge", "old.db", "--db", "new.db")
    assert code == 0
    assert "nodebench: old.db was upgraded from schema version 1 to 3; before: old-v0001-" in err
    with Store.open("new.db") as ours, Store.open("old.db") as theirs:
        assert contents(ours) == contents(theirs)


def test_export_writes_what_the_filters_choose(call, stocked, folder):
    code, out, _ = call("export", "out/all.csv", "--db", stocked)
    assert (code, out) == (0, "out/all.csv: 6 rows of summary\n")
    options = ("--solver", "euler", "--solver", "rk4", "--problem", "cosine", "--run", "a-1", "--backend", "node")
    code, out, _ = call("export", "some.parquet", "--frame", "samples", *options, "--db", stocked)
    assert (code, out) == (0, "some.parquet: 6 rows of samples\n")
    assert set(pandas.read_parquet("some.parquet")["cell_key"]) == {CELLS[0].key}
    code, out, _ = call("export", "none.jsonl", "--device", "cuda", "--gradient", "backprop", "--db", stocked)
    assert (code, out) == (0, "none.jsonl: 0 rows of summary\n")


IMPORTED = """{"machine_info": {"node": "n", "system": "Linux", "cpu": {"brand_raw": "one"}}, "version": "5.3.1",
"commit_info": {"id": "abc", "dirty": false}, "datetime": "2026-01-01T00:00:00+00:00", "benchmarks": [
{"name": "test_a", "fullname": "a.py::test_a", "extra_info": {},
"stats": {"median": 1.5, "total": 3.0, "iterations": 1, "data": [1.0, 2.0]}}]}"""


def test_import_takes_a_file_in_once_and_show_shows_it(call, folder):
    Path("a.json").write_text(IMPORTED)
    code, out, _ = call("import", "a.json", "--db", "bench.db")
    assert code == 0
    assert re.fullmatch(r"run \w{32}: 1 trial imported\n", out)
    code, out, _ = call("import", "a.json", "--db", "bench.db")
    assert code == 0
    assert "0 trials imported, 1 were here already" in out
    with Store.open("bench.db") as store:
        key = store.cells()["key"].item()
    code, out, _ = call(key[:6], "--db", "bench.db", group=("show",))
    assert code == 0
    assert "a.py pytest-benchmark test_a T=0" in out


def test_prune_says_what_goes_and_then_removes_it(call, url, folder):
    with Store.open(url, create=True) as store:
        measure(store, "old", started_at=1.0)
        measure(store, "new", started_at=2.0)
        before = contents(store)
    what = "18 metrics, 18 samples, 6 curves, 6 trials, 3 planned cells, 1 run\n"
    assert call("prune", "--dry-run", "--db", url)[:2] == (0, f"would remove: {what}")
    with Store.open(url) as store:
        assert contents(store) == before
    assert call("prune", "--older-than", "36500", "--db", url)[:2] == (0, "removed: nothing\n")
    assert call("prune", "--db", url)[:2] == (0, f"removed: {what}")
    assert call("prune", "--db", url)[:2] == (0, "removed: nothing\n")


def test_baselines_are_made_listed_replaced_and_removed(call, stocked):
    assert call("baselines", "--db", stocked)[1].splitlines()[1].split()[:3] == ["baseline", "of", "a"]
    code, out, _ = call("baseline", "good", "--run", "a-2", "--note", "why", "--db", stocked)
    assert (code, out) == (0, "baseline 'good': 6 trials\n")
    code, _, err = call("baseline", "good", "--db", stocked)
    assert (code, err) == (
        2,
        "nodebench: there is a baseline 'good' already: pass --replace to give its name to these trials\n",
    )
    assert call("baseline", "good", "--replace", "--db", stocked)[0] == 0
    assert call("baseline", "good", "--remove", "--db", stocked)[0] == 0
    assert call("baseline", "baseline of a", "--remove", "--db", stocked)[0] == 0
    assert call("baselines", "--db", stocked)[1] == "no baselines\n"


def test_a_note_is_left_and_shown(call, stocked):
    code, out, _ = call("annotate", CELLS[1].key[:8], "look at this", "--db", stocked)
    assert (code, out) == (0, f"noted on cell {CELLS[1].key}\n")
    out = call(CELLS[1].key, "--db", stocked, group=("show",))[1]
    assert "look at this" in out
    assert re.search(r"me +run a-1 +a warm day", out)


def test_backup_and_restore(call, stocked, folder):
    code, out, _ = call("backup", "kept.db", "--db", stocked)
    assert (code, out) == (0, "backup: kept.db\n")
    call("merge", "kept.db", "--db", "restored.db")
    with Store.open("restored.db") as ours, Store.open(stocked) as theirs:
        assert contents(ours, "lease") == contents(theirs, "lease")
    code, out, _ = call("backup", "--db", stocked)
    assert code == 0
    assert Path(out.removeprefix("backup: ").strip()).exists()


def test_a_backup_of_an_old_database_is_old(call, folder):
    Path("old.db").write_bytes(OLD.read_bytes())
    assert call("backup", "kept.db", "--db", "old.db")[0] == 0
    assert "from schema version 1 to 3" in call("upgrade", "--db", "kept.db")[1]


def test_upgrade_says_what_it_did(call, folder):
    Path("old.db").write_bytes(OLD.read_bytes())
    code, out, _ = call("upgrade", "--db", "old.db")
    assert code == 0
    assert "old.db was upgraded from schema version 1 to 3; before: old-v0001-" in out
    assert call("upgrade", "--db", "old.db")[:2] == (0, "old.db is at schema version 3 already\n")


MISTAKES = [
    (("stats", "--db", "nothing.db"), "no database at nothing.db"),
    (("merge", "nothing.db", "--db", "new.db"), "no database at nothing.db"),
    (("merge", "notes.txt", "--db", "new.db"), "notes.txt is not an SQLite database"),
    (("merge", "bench.db", "--db", "./bench.db"), "bench.db is the database that is merged into"),
    (("export", "a.xls", "--db", "bench.db"), "a.xls has the suffix '.xls'"),
    (("export", "a.csv", "--run", "zz", "--db", "bench.db"), "no run whose key begins with 'zz'"),
    (("export", "a.csv", "--db", "nothing.db"), "no database at nothing.db"),
    (("import", "nothing.json", "--db", "new.db"), "nothing.json cannot be read"),
    (("import", "notes.txt", "--db", "new.db"), "notes.txt is not pytest-benchmark's JSON"),
    (("prune", "--db", "nothing.db"), "no database at nothing.db"),
    (("baseline", "", "--db", "bench.db"), "the baseline's name is empty"),
    (("baseline", "x", "--run", "zz", "--db", "bench.db"), "no run whose key begins with 'zz'"),
    (("baseline", "x", "--remove", "--db", "bench.db"), "no baseline 'x'. Known: baseline of a"),
    (("annotate", "zz", "hm", "--db", "bench.db"), "no run or cell whose key begins with 'zz'"),
    (("annotate", "a-", "hm", "--db", "bench.db"), "3 begin with 'a-': add digits. run a-1, run a-2, run a-3"),
    (("annotate", "a-1", "", "--db", "bench.db"), "the note is empty"),
    (("backup", "notes.txt", "--db", "bench.db"), "notes.txt exists: a backup overwrites nothing"),
    (("backup", "b.db", "--db", "nothing.db"), "no database at nothing.db"),
    (("upgrade", "--db", "nothing.db"), "no database at nothing.db"),
    (("upgrade", "--db", "paper://shelf"), "unknown kind of database 'paper'"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES, ids=[" ".join(arguments[:2]) for arguments, _ in MISTAKES])
def test_a_mistake_is_one_line_and_nothing_is_written(call, folder, arguments, said):
    with Store.open("bench.db", create=True) as store:
        stock(store)
        before = contents(store)
    Path("notes.txt").write_text("a page of notes")
    there = files(folder)
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("nodebench: ")
    assert said in err
    assert err.count("\n") == 1
    assert files(folder) == there
    with Store.open("bench.db") as store:
        assert contents(store) == before


@pytest.mark.parametrize(
    "arguments", [("export", "a.csv", "--frame", "nothing"), ("prune", "--older-than", "-1"), ("sing",)]
)
def test_wrong_usage_is_code_2(call, folder, arguments):
    assert call(*arguments)[0] == 2
    assert files(folder) == []


LOADED = """
import contextlib, io, sys
from bench.cli import main
for arguments in {verbs}:
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            assert not end.code, arguments
print(*{heavy} & set(sys.modules))
"""


def loaded(folder, *verbs: str, heavy: set[str]) -> str:
    """What of the heavy libraries a process has that calls these verbs."""
    code = LOADED.format(verbs=[verb.split() for verb in verbs], heavy=heavy)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_help_loads_nothing_heavy(folder):
    assert loaded(folder, "--help", "db --help", heavy={"torch", "pandas", "numpy", "alembic"}) == ""


def test_the_verbs_load_no_torch_and_most_no_pandas(folder):
    with Store.open("bench.db", create=True) as store:
        stock(store)
    Path("a.json").write_text(IMPORTED)
    verbs = ("stats", "export a.csv", "import a.json", "prune", "annotate a-1 hm", "backup", "baseline x")
    on = "--db bench.db"
    assert loaded(folder, *(f"db {verb} {on}" for verb in verbs), heavy={"torch", "pandas"}) == ""
    rest = ("db merge bench.db --db c.db", f"db baselines {on}", f"db upgrade {on}", f"db export a.parquet {on}")
    assert loaded(folder, *rest, heavy={"torch"}) == ""


def test_everything_there_is_to_count_is_counted(call, stocked):
    out = call("stats", "--db", stocked)[1]
    with Store.open(stocked) as store:
        for table, count in counts(store).items():
            if table != "nodebench":
                assert re.search(rf"^{table} +{count}$", out, re.MULTILINE), table

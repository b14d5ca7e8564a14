"""The verbs of `nodebench db` on real databases, and one clear line for every mistake."""

import re
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pandas
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import delete, update

import bench.answers.database as verbs
from results.engine import database
from results.schema.tables import summary
from results.store import Store
from results.tools import prune
from results.write.spool import Spool
from tests.support.made import plain
from tests.support.places import DATABASES
from tests.support.stocked import CELLS, IMPORTED, a_trial, contents, counts, measure, stock

OLD = DATABASES / "version_1.db"
VERBS = (
    "stats", "merge", "export", "import", "prune", "rebuild", "baseline", "baselines", "annotate", "backup", "upgrade",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def db(call):
    """Run a verb of `nodebench db`, as `call` does."""
    return partial(call, "db")


@pytest.fixture
def stocked(url, folder) -> str:
    with Store.open(url, create=True) as store:
        stock(store)
    return url


def files(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm")))


def test_the_help_names_every_verb(db, call):
    code, out, _ = db("--help")
    assert code == 0
    for verb in VERBS:
        assert re.search(rf"^\W*{verb} ", out, re.MULTILINE), verb
    assert "db " in call("--help")[1]


def test_stats_list_runs_trials_samples_and_baselines(db, stocked):
    code, out, err = db("stats", "--db", stocked)
    assert (code, err) == (0, "")
    assert "schema version 6" in out
    assert "SQLite" in out or "PostgreSQL" in out
    assert re.search(r"^runs +2 complete, 1 running$", out, re.MULTILINE)
    assert re.search(r"^trials +12 ok, 1 interrupted$", out, re.MULTILINE)
    assert re.search(r"^sample +36$", out, re.MULTILINE)
    assert re.search(r"^baselines +baseline of a$", out, re.MULTILINE)
    assert re.search(r"^a-3 +small +\w+ +running: process 1 on h +1970-01-01", out, re.MULTILINE)
    assert "cpu one" in out


def test_stats_of_an_empty_database(db, folder):
    Store.open("bench.db", create=True).__exit__()
    code, out, _ = db("stats", "--db", "bench.db")
    assert code == 0
    assert re.search(r"^trials +none$", out, re.MULTILINE)
    assert re.search(r"^measured +none$", out, re.MULTILINE)


def test_stats_count_free_pages_and_spooled_trials(db, folder):
    with Store.open("bench.db", create=True) as store:
        measure(store, "old", started_at=1.0, processes=40)
        with store.database.writing() as connection:
            connection.exec_driver_sql("delete from sample")
    Path("bench.db.spool").mkdir()
    Path("bench.db.spool/1-a.json").write_text("{}")
    _, out, _ = db("stats", "--db", "bench.db")
    assert re.search(r"KiB, [\d.]+ KiB of it free", plain(out))
    assert re.search(r"^spooled +1 trial to be taken in$", out, re.MULTILINE)


def test_merge_says_what_came_in(db, stocked, folder):
    code, out, _ = db("merge", stocked, "--db", "sum.db")
    assert code == 0
    assert "2 sweeps, 2 environments, 3 cells, 1 reference, 1 source, 3 runs, 9 planned cells, 13 trials" in out
    assert "1 noise floor, 2 annotations, 1 baseline" in out
    with Store.open("sum.db") as ours, Store.open(stocked) as theirs:
        assert contents(ours, "lease") == contents(theirs, "lease")
    code, out, _ = db("merge", stocked, "--db", "sum.db")
    assert (code, out.rpartition(": ")[2]) == (0, "nothing that was not here\n")


def test_merge_reports_baselines_that_differ(db, folder):
    for name in ("ours", "theirs"):
        with Store.open(f"{name}.db", create=True) as store:
            measure(store, name, started_at=1.0)
        db("baseline", "good", "--db", f"{name}.db")
    code, _, err = db("merge", "theirs.db", "--db", "ours.db")
    assert code == 2
    assert err.endswith("nothing was merged; pass --on-conflict keep, and ours stay, or --on-conflict newer\n")
    code, out, _ = db("merge", "theirs.db", "--on-conflict", "keep", "--db", "ours.db")
    assert code == 0
    assert "baseline good differs there: ours stays" in out


def test_merge_leaves_an_older_database_as_it_is_and_says_so(db, folder):
    Path("old.db").write_bytes(OLD.read_bytes())
    code, _, err = db("merge", "old.db", "--db", "new.db")
    assert code == 0
    assert err.startswith("nodebench: old.db has schema version 1 and stays as it is: a temporary copy of it, upgraded")
    assert Path("old.db").read_bytes() == OLD.read_bytes()
    with Store.open("new.db") as ours, Store.open("old.db") as theirs:
        assert contents(ours) == contents(theirs)


def test_export_writes_what_the_filters_choose(db, stocked, folder):
    code, out, _ = db("export", "out/all.csv", "--db", stocked)
    assert (code, out) == (0, "out/all.csv: 6 rows of summary\n")
    options = ("--only", "solver=euler,dopri5 backend=node", "--only", "problem=cosine", "--run", "a-1")
    code, out, _ = db("export", "some.parquet", "--frame", "samples", *options, "--db", stocked)
    assert (code, out) == (0, "some.parquet: 6 rows of samples\n")
    assert set(pandas.read_parquet("some.parquet")["cell_key"]) == {CELLS[0].key}


def test_a_file_is_imported_once_and_show_prints_its_cell(db, call, folder):
    Path("a.json").write_text(IMPORTED)
    code, out, _ = db("import", "a.json", "--db", "bench.db")
    assert code == 0
    assert re.fullmatch(r"run \w{32}: 1 trial imported\n", out)
    code, out, _ = db("import", "a.json", "--db", "bench.db")
    assert code == 0
    assert "0 trials imported, 1 were here already" in out
    with Store.open("bench.db") as store:
        key = store.cells()["key"].item()
    code, out, _ = call("show", key[:6], "--db", "bench.db")
    assert code == 0
    assert "a.py pytest-benchmark test_a T=0" in out


def test_prune_says_what_it_would_remove_and_removes_it(db, url, folder):
    with Store.open(url, create=True) as store:
        measure(store, "old", started_at=1.0)
        measure(store, "new", started_at=2.0)
        before = contents(store)
    what = "18 metrics, 18 samples, 6 curves, 6 trials, 3 planned cells, 1 run\n"
    assert db("prune", "--dry-run", "--db", url)[:2] == (0, f"would remove: {what}")
    with Store.open(url) as store:
        assert contents(store) == before
    assert db("prune", "--older-than", "36500", "--db", url)[:2] == (0, "removed: nothing\n")
    assert db("prune", "--db", url)[:2] == (0, f"removed: {what}")
    assert db("prune", "--db", url)[:2] == (0, "removed: nothing\n")


def test_a_database_that_is_locked_before_prune_frees_its_pages_is_reported_in_one_line(db, folder, monkeypatch):
    with Store.open("bench.db", create=True) as store:
        measure(store, "old", started_at=1.0)
        measure(store, "new", started_at=2.0)
    monkeypatch.setattr(database, "PATIENCE_S", 0.1)
    with closing(sqlite3.connect("bench.db", isolation_level=None)) as other:

        def prune_and_then_wait(*args, **kwargs):
            removed = prune.prune(*args, **kwargs)
            other.execute("begin immediate")
            return removed

        monkeypatch.setattr(verbs, "prune", prune_and_then_wait)
        code, out, err = db("prune", "--db", "bench.db")
    assert (code, out.startswith("removed: ")) == (2, True)
    assert err == ("nodebench: bench.db cannot be written (database is locked): wait for the process that uses it\n")


def test_a_backup_names_the_spooled_trials_that_it_lacks(db, stocked, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with Store.open(stocked) as store:
        Spool.of(store.database).put("a-1", a_trial(process_index=9))
    code, out, err = db("backup", "kept.db", "--db", stocked)
    assert (code, out) == (0, "backup: kept.db\n")
    assert err.startswith("nodebench: 1 spooled trial(s) wait in ")


def test_rebuild_restores_the_summary(db, stocked):
    with Store.open(stocked) as store:
        before = store.summary()
        with store.database.writing() as connection:
            connection.execute(delete(summary).where(summary.c.run_id == "a-1"))
            connection.execute(update(summary).values(forward_s=1.0))
    assert db("rebuild", "--db", stocked) == (0, "summary: 6 rows rebuilt\n", "")
    with Store.open(stocked) as store:
        assert_frame_equal(store.summary(), before)


def test_baselines_are_made_listed_replaced_and_removed(db, stocked):
    assert db("baselines", "--db", stocked)[1].splitlines()[1].split()[:3] == ["baseline", "of", "a"]
    code, out, _ = db("baseline", "good", "--run", "a-2", "--note", "why", "--db", stocked)
    assert (code, out) == (0, "baseline 'good': 6 trials\n")
    code, _, err = db("baseline", "good", "--db", stocked)
    assert (code, err) == (
        2,
        "nodebench: there is a baseline 'good' already: pass --replace to give its name to these trials\n",
    )
    assert db("baseline", "good", "--replace", "--db", stocked)[0] == 0
    assert db("baseline", "good", "--remove", "--db", stocked)[0] == 0
    assert db("baseline", "baseline of a", "--remove", "--db", stocked)[0] == 0
    assert db("baselines", "--db", stocked)[1] == "no baselines\n"


def test_backup_and_restore(db, stocked, folder):
    code, out, _ = db("backup", "kept.db", "--db", stocked)
    assert (code, out) == (0, "backup: kept.db\n")
    db("merge", "kept.db", "--db", "restored.db")
    with Store.open("restored.db") as ours, Store.open(stocked) as theirs:
        assert contents(ours, "lease") == contents(theirs, "lease")
    code, out, _ = db("backup", "--db", stocked)
    assert code == 0
    assert Path(out.removeprefix("backup: ").strip()).exists()


def test_a_backup_of_an_older_database_keeps_its_schema_version(db, folder):
    Path("old.db").write_bytes(OLD.read_bytes())
    assert db("backup", "kept.db", "--db", "old.db")[0] == 0
    assert "from schema version 1 to 6" in db("upgrade", "--db", "kept.db")[1]


def test_upgrade_says_what_it_did(db, folder):
    Path("old.db").write_bytes(OLD.read_bytes())
    code, out, _ = db("upgrade", "--db", "old.db")
    assert code == 0
    assert "old.db was upgraded from schema version 1 to 6; before: old-v0001-" in out
    assert db("upgrade", "--db", "old.db")[:2] == (0, "old.db is at schema version 6 already\n")


MISTAKES = [
    (("stats", "--db", "nothing.db"), "no database at nothing.db"),
    (("merge", "nothing.db", "--db", "new.db"), "no database at nothing.db"),
    (("merge", "notes.txt", "--db", "new.db"), "notes.txt is not an SQLite database"),
    (("merge", "bench.db", "--db", "./bench.db"), "bench.db is the database that is merged into"),
    (("export", "a.xls", "--db", "bench.db"), "a.xls has the suffix '.xls'"),
    (("export", "a.csv", "--run", "zz", "--db", "bench.db"), "no run begins with 'zz'"),
    (("export", "a.csv", "--only", "solver=eulr", "--db", "bench.db"), "only: no cell has solver='eulr'. Did you mean"),
    (("export", "a.csv", "--only", "solvr=euler", "--db", "bench.db"), "only: unknown field 'solvr'. Did you mean"),
    (("export", "a.csv", "--db", "nothing.db"), "no database at nothing.db"),
    (("import", "nothing.json", "--db", "new.db"), "nothing.json cannot be read"),
    (("import", "notes.txt", "--db", "new.db"), "notes.txt is not pytest-benchmark's JSON"),
    (("prune", "--db", "nothing.db"), "no database at nothing.db"),
    (("baseline", "", "--db", "bench.db"), "the baseline's name is empty"),
    (("baseline", "x", "--run", "zz", "--db", "bench.db"), "no run begins with 'zz'"),
    (("baseline", "x", "--remove", "--db", "bench.db"), "no baseline 'x'. Known: baseline of a"),
    (("annotate", "zz", "hm", "--db", "bench.db"), "no run or cell begins with 'zz'"),
    (("annotate", "a-", "hm", "--db", "bench.db"), "3 begin with 'a-': add digits. run a-1, run a-2, run a-3"),
    (("annotate", "a-1", "", "--db", "bench.db"), "the note is empty"),
    (("backup", "notes.txt", "--db", "bench.db"), "notes.txt exists: a backup overwrites nothing"),
    (("backup", "b.db", "--db", "nothing.db"), "no database at nothing.db"),
    (("rebuild", "--db", "nothing.db"), "no database at nothing.db"),
    (("upgrade", "--db", "nothing.db"), "no database at nothing.db"),
    (("upgrade", "--db", "paper://shelf"), "unknown kind of database 'paper'"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES, ids=[" ".join(arguments[:2]) for arguments, _ in MISTAKES])
def test_a_mistake_is_refused_in_one_line_and_nothing_is_written(db, folder, arguments, said):
    with Store.open("bench.db", create=True) as store:
        stock(store)
        before = contents(store)
    Path("notes.txt").write_text("a page of notes")
    there = files(folder)
    code, out, err = db(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("nodebench: ")
    assert said in err
    assert err.count("\n") == 1
    assert files(folder) == there
    with Store.open("bench.db") as store:
        assert contents(store) == before


@pytest.mark.parametrize("words", [("export", "a", "--frame", "nothing"), ("prune", "--older-than", "-1"), ("sing",)])
def test_wrong_usage_is_code_2(db, folder, words):
    assert db(*words)[0] == 2
    assert files(folder) == []


def test_stats_count_the_rows_of_every_table(db, stocked):
    out = db("stats", "--db", stocked)[1]
    with Store.open(stocked) as store:
        for table, count in counts(store).items():
            if table != "nodebench":
                assert re.search(rf"^{table} +{count}$", out, re.MULTILINE), table

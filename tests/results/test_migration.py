"""Databases of earlier versions are upgraded to the newest schema, and no row of them is lost."""

import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from results import Where
from results.engine.database import Database
from results.engine.location import StoreError
from results.opening.migration import step_up
from results.opening.ready import upgrade_at
from results.schema import summary
from results.schema.tables import SCHEMA_VERSION, metadata, nodebench
from results.store import Store
from tests.support.places import DATABASES

OLD = sorted(DATABASES.glob("version_*.db"))


def rows_of(path: Path, table: str, columns: list[str]) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute(f'select {", ".join(columns)} from "{table}"').fetchall(), key=repr)


def tables_of(path: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: [row[1] for row in connection.execute(f"pragma table_info({name})")] for name in names}


def dump(path: Path) -> list[str]:
    """The content of a database without its identity, which is another in a backup."""
    with closing(sqlite3.connect(path)) as connection:
        identity = {row["identity"] for row in rows_by_name(connection, nodebench.name) if "identity" in row}
        return [line.replace(next(iter(identity), "none"), "") for line in connection.iterdump()]


def rows_by_name(connection: sqlite3.Connection, table: str) -> list[dict]:
    found = connection.execute(f"select * from {table}")
    return [dict(zip((column[0] for column in found.description), row, strict=True)) for row in found]


@pytest.fixture(params=OLD, ids=lambda path: path.stem)
def old(request, tmp_path) -> Path:
    return Path(shutil.copy(request.param, tmp_path / "bench.db"))


def test_there_is_a_database_of_each_earlier_version():
    assert [path.stem for path in OLD] == [f"version_{n}" for n in range(1, int(SCHEMA_VERSION))]


def test_a_view_that_the_user_has_made_survives_an_upgrade(old):
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("create view mine as select name, value from metric join trial on trial.id = trial_id")
        before = connection.execute("select * from mine").fetchall()
    Store.open(old, write=True).__exit__()
    with closing(sqlite3.connect(old)) as connection:
        assert sorted(connection.execute("select * from mine")) == sorted(before) != []


def test_an_older_database_is_upgraded_and_keeps_every_row(old, tmp_path):
    before = tmp_path / "before.db"
    shutil.copy(old, before)
    with Store.open(str(old), write=True) as store:
        (notice,) = store.notices
    assert f"{old} was upgraded from schema version" in notice
    for table, columns in tables_of(before).items():
        if table not in (nodebench.name, "summary"):  # summary follows from the others
            assert rows_of(old, table, columns) == rows_of(before, table, columns), table
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("pragma foreign_key_check").fetchall() == []


def test_the_backup_is_the_database_as_it_was(old, tmp_path):
    before = dump(old)
    with Store.open(str(old), write=True) as store:
        (notice,) = store.notices
    backup = Path(notice.rpartition(": ")[2])
    assert backup.parent == tmp_path
    assert dump(backup) == before
    assert sorted(path.name for path in tmp_path.glob("*.db")) == sorted([old.name, backup.name])


def test_an_upgraded_database_is_upgraded_once(old):
    Store.open(str(old), write=True).__exit__()
    for write in (True, False):
        with Store.open(str(old), write=write) as store:
            assert store.notices == ()


def test_reading_an_older_database_leaves_it_as_it_is(old, tmp_path):
    before = old.read_bytes()
    with Store.open(old) as store:
        (notice,) = store.notices
        assert not store.summary(Where(status="ok")).empty
        with pytest.raises(StoreError, match="is open to be read, and of an older version: open it to be written"):
            store.finish("a-1", state="complete")
    assert "stays as it is: a temporary copy of it, upgraded to" in notice
    assert (old.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (before, [old.name])


def test_an_upgraded_database_has_its_summary(old):
    with Store.open(str(old)) as store:
        wide = store.summary(Where(status="ok"))
        assert not wide.empty
        assert wide["nfe_forward"].gt(0).all()
        assert wide["forward_s"].gt(0).all()


def test_a_cell_that_was_interrupted_before_version_5_has_one_row_and_its_curves_have_points():
    with Store.open(OLD[3]) as store:
        rows = store.summary()
        assert list(zip(rows["run_id"], rows["trials"], strict=True)) == [
            ("a-1", 6),
            ("a-2", 3),
            ("a-2", 6),
            ("a-3", 6),
        ]
        with store.database.reading() as connection:
            points = connection.execute(text("select position, x, y from point where name = 'loss' and y > 1e99"))
            assert points.all() == [(1, 1.0, math.inf)]


def objects_of(path: Path) -> set[str]:
    """The objects of an SQLite database and which of them are WITHOUT ROWID, which Alembic does not compare."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select type, name, sql from sqlite_master where sql is not null")
        return {f"{kind} {name} {'WITHOUT ROWID' in sql}" for kind, name, sql in rows}


@pytest.mark.parametrize("start", [None, *(f"{n:04d}" for n in range(1, int(SCHEMA_VERSION)))])
def test_the_steps_lead_to_the_schema_that_a_new_database_has(tmp_path, start):
    path = tmp_path / "bench.db"
    if start is not None:
        shutil.copy(OLD[int(start) - 1], path)
        Store.open(str(path), write=True).__exit__()
    database = Database(str(path), create=True)
    with database.changing_schema() as connection:
        if start is None:
            step_up(connection, None)
            summary.remake(connection)
        context = MigrationContext.configure(connection, opts={"version_table": nodebench.name, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()
    Store.open(str(tmp_path / "new.db"), create=True).__exit__()
    assert objects_of(path) == objects_of(tmp_path / "new.db")


def test_an_upgrade_says_from_and_to_which_version(old):
    newest = int(SCHEMA_VERSION)
    with closing(sqlite3.connect(old)) as connection:
        found = int(connection.execute("select * from nodebench").fetchone()[0])
    assert f"{old} was upgraded from schema version {found} to {newest}; before: " in upgrade_at(str(old))
    assert upgrade_at(str(old)) == f"{old} is at schema version {newest} already"

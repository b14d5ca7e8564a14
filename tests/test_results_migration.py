"""Databases of earlier versions are brought to the newest schema, and nothing of them is lost."""

import math
import shutil
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, insert, inspect, select, text

from results import Where, schema, summary
from results.database import Database
from results.location import StoreError
from results.migration import step_up, upgrade_at
from results.store import Store
from results.tables import SCHEMA_VERSION, metadata, nodebench

OLD = sorted((Path(__file__).parent / "databases").glob("version_*.db"))


def rows_of(path: Path, table: str, columns: list[str]) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute(f'select {", ".join(columns)} from "{table}"').fetchall(), key=repr)


def tables_of(path: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: [row[1] for row in connection.execute(f"pragma table_info({name})")] for name in names}


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.fixture(params=OLD, ids=lambda path: path.stem)
def old(request, tmp_path) -> Path:
    return Path(shutil.copy(request.param, tmp_path / "bench.db"))


def test_there_is_a_database_of_each_earlier_version():
    assert [path.stem for path in OLD] == [f"version_{n}" for n in range(1, int(SCHEMA_VERSION))]


def test_an_older_database_is_upgraded_and_keeps_every_row(old, tmp_path):
    before = tmp_path / "before.db"
    shutil.copy(old, before)
    with Store.open(str(old), write=True) as store:
        (notice,) = store.notices
    assert f"{old} was upgraded from schema version" in notice
    for table, columns in tables_of(before).items():
        if table not in (nodebench.name, "summary"):  # which follows from the others
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


def test_who_only_reads_an_older_database_leaves_it_as_it_is(old, tmp_path):
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


def made(path: Path) -> set[str]:
    """What SQLite has made, and which tables are without row numbers: Alembic's comparison does not see that."""
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
    with database.remaking() as connection:
        if start is None:
            step_up(connection, None)
            summary.remake(connection)
        context = MigrationContext.configure(connection, opts={"version_table": nodebench.name, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()
    Store.open(str(tmp_path / "new.db"), create=True).__exit__()
    assert made(path) == made(tmp_path / "new.db")


@pytest.fixture
def old_server(server_url, tmp_path, monkeypatch) -> str:
    """A server's database as version 1 has made it, with the rows of the file that version 1 has written."""
    monkeypatch.chdir(tmp_path)  # where a server's backup goes
    database = Database(server_url, create=False)
    source = create_engine(f"sqlite:///{OLD[0]}")
    with database.remaking() as connection, source.connect() as rows:
        step_up(connection, None, "0001")
        tables = MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name != nodebench.name:
                connection.execute(insert(table), [dict(row) for row in rows.execute(select(table)).mappings()])
        for name in ("sweep", "trial"):
            connection.execute(text(f"select setval('{name}_id_seq', (select max(id) from {name}))"))
    database.close()
    source.dispose()
    return str(server_url)


def rows_on(url: str, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        found = {
            name: sorted(
                str(tuple(row)) for row in connection.execute(select(*(tables.tables[name].c[c] for c in named)))
            )
            for name, named in columns.items()
        }
    engine.dispose()
    return found


def columns_on(url: str) -> dict[str, list[str]]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    inspector = inspect(engine)
    names = [name for name in inspector.get_table_names() if name != nodebench.name]
    found = {name: [column["name"] for column in inspector.get_columns(name)] for name in names}
    engine.dispose()
    return found


def test_an_older_server_is_upgraded_and_keeps_every_row(old_server, tmp_path):
    columns = columns_on(old_server)
    before = rows_on(old_server, columns)
    for how in ({}, {"write": True}, {"create": True}):
        with pytest.raises(StoreError, match=r"has schema version 1, and .* by nodebench db upgrade"):
            Store.open(old_server, **how)
    notice = upgrade_at(old_server)
    assert "was upgraded from schema version 1 to 5" in notice
    assert rows_on(old_server, columns) == before
    backup = tmp_path / notice.rpartition(": ")[2]
    assert rows_on(f"sqlite:///{backup}", columns) == before
    with Store.open(old_server) as store:
        assert store.summary(Where(status="ok"))["nfe_forward"].gt(0).all()
        assert store.notices == ()


def test_who_does_not_own_a_server_s_tables_is_told_so_before_any_backup(old_server, tmp_path):
    make = create_engine(old_server.replace("postgresql://", "postgresql+psycopg://"))
    guest = f"guest_{uuid.uuid4().hex[:8]}"
    with make.begin() as connection:
        connection.execute(text(f"create role {guest} login"))
        connection.execute(text(f"grant all on all tables in schema public to {guest}"))
    try:
        with pytest.raises(StoreError, match="belongs to nodebench, who alone can upgrade it: log in so"):
            upgrade_at(old_server.replace("nodebench@", f"{guest}@"))
        assert not list(tmp_path.glob("*-v0001-*"))
    finally:
        with make.begin() as connection:
            connection.execute(text(f"drop owned by {guest}"))
            connection.execute(text(f"drop role {guest}"))
        make.dispose()


def test_an_older_server_is_read_as_it_is_from_an_upgraded_copy(old_server):
    columns = columns_on(old_server)
    before = rows_on(old_server, columns)
    with Store.open(old_server, as_it_is=True) as store:
        (notice,) = store.notices
        assert store.summary(Where(status="ok"))["nfe_forward"].gt(0).all()
        copied = store.trials()
    assert "has schema version 1 and stays as it is: a temporary copy of it, upgraded to" in notice
    assert columns_on(old_server) == columns
    assert rows_on(old_server, columns) == before
    assert "was upgraded from schema version 1" in upgrade_at(old_server)
    with Store.open(old_server) as store:
        assert store.trials().equals(copied)


def test_a_servers_backup_is_of_the_version_that_it_had(old_server, tmp_path):
    backup = tmp_path / upgrade_at(old_server).rpartition(": ")[2]
    with Store.open(old_server) as store, Store.open(backup) as copy:
        assert "a temporary copy of it, upgraded to 5, is read" in copy.notices[0]
        assert copy.trials().equals(store.trials())


def test_the_steps_lead_to_the_schema_of_a_new_server(old_server):
    """Comments included, which SQLite has none of."""
    upgrade_at(old_server)
    database = Database(old_server, create=False)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": nodebench.name, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


OPENER = """
import sys
from results.migration import upgrade_at
from results.store import Store
sys.stdin.readline()
said = upgrade_at(sys.argv[1])
with Store.open(sys.argv[1]) as store:
    print(len(store.trials()), said)
"""


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_two_who_open_an_old_database_at_once_upgrade_it_once(engine, request, tmp_path):
    on_server = engine == "postgresql"
    url = request.getfixturevalue("old_server") if on_server else str(shutil.copy(OLD[0], tmp_path / "bench.db"))
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, url], cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for opener in openers:
        opener.stdin.write("\n")
        opener.stdin.flush()
    said = [opener.communicate(timeout=60)[0] for opener in openers]
    assert [opener.returncode for opener in openers] == [0, 0, 0], said
    assert len({line.split()[0] for line in said}) == 1
    assert sum("was upgraded" in line for line in said) == 1
    assert len(list(tmp_path.glob("*-v0001-*.db"))) == 1


def test_who_opens_a_server_while_it_is_upgraded_sees_what_it_was(old_server):
    """A view from before the upgrade, which is asked after it."""
    upgrading, opening = Database(old_server, create=False), Database(old_server, create=False)
    with opening.reading() as view:
        view.execute(text("select 1"))
        with upgrading.remaking() as connection:
            step_up(connection, "0001")
        assert schema.version(view) == "0001"
    upgrading.close()
    opening.close()


def test_an_upgrade_says_from_and_to_which_version(old):
    newest = int(SCHEMA_VERSION)
    with closing(sqlite3.connect(old)) as connection:
        found = int(connection.execute("select * from nodebench").fetchone()[-1])
    assert f"{old} was upgraded from schema version {found} to {newest}; before: " in upgrade_at(str(old))
    assert upgrade_at(str(old)) == f"{old} is at schema version {newest} already"

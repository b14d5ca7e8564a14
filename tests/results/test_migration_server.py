"""A server's database of an earlier version is upgraded by its owner, and no row and no privilege is lost."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, insert, inspect, select, text

from results import Where
from results.engine.database import Database
from results.engine.location import StoreError
from results.opening import server_rights
from results.opening.migration import step_up
from results.opening.ready import upgrade_at
from results.schema import summary
from results.schema import versions as schema
from results.schema.tables import metadata, nodebench
from results.store import Store
from tests.support import synthetic
from tests.support.places import DATABASES

VERSION_1 = DATABASES / "version_1.db"


@pytest.fixture
def old_server(server_url, tmp_path, monkeypatch) -> str:
    """A server's database as version 1 has made it, with the rows of the file that version 1 has written."""
    monkeypatch.chdir(tmp_path)  # where a server's backup goes
    database = Database(server_url, create=False)
    source = create_engine(f"sqlite:///{VERSION_1}")
    with database.changing_schema() as connection, source.connect() as rows:
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
    assert "was upgraded from schema version 1 to 6" in notice
    assert rows_on(old_server, columns) == before
    backup = tmp_path / notice.rpartition(": ")[2]
    assert rows_on(f"sqlite:///{backup}", columns) == before
    with Store.open(old_server) as store:
        assert store.summary(Where(status="ok"))["nfe_forward"].gt(0).all()
        assert store.notices == ()


def test_an_upgrade_by_a_role_that_does_not_own_the_tables_is_refused_before_any_backup(old_server, tmp_path):
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


@pytest.fixture
def roles(old_server) -> Iterator[dict[str, str]]:
    """Roles by kind: reader and writer as in docs/database.md, a reader of trials only, and an owner of tables."""
    names = {kind: f"{kind}_{uuid.uuid4().hex[:8]}" for kind in ("reader", "writer", "trials_reader", "owner")}
    rights = {
        "reader": ["select on all tables in schema public"],
        "writer": [
            "select, insert, update, delete on all tables in schema public",
            "usage on all sequences in schema public",
        ],
        "trials_reader": ["select on trial"],
        "owner": ["create on schema public"],
    }
    with psycopg.connect(old_server, autocommit=True) as owner:
        for kind, role in names.items():
            owner.execute(f"create role {role} login")
            for right in rights[kind]:
                owner.execute(f"grant {right} to {role}")
        yield names
        for role in names.values():
            owner.execute(f"drop owned by {role} cascade")
            owner.execute(f"drop role {role}")


def as_role(url: str, role: str) -> str:
    return url.replace("nodebench@", f"{role}@")


def rights_of(url: str, role: str) -> dict[str, set[str]]:
    query = "select table_name, privilege_type from information_schema.role_table_grants where grantee = %s"
    found: dict[str, set[str]] = {}
    with psycopg.connect(url) as connection:
        for name, right in connection.execute(query, (role,)):
            found.setdefault(name, set()).add(right)
    return found


def test_roles_keep_their_privileges_after_an_upgrade(old_server, roles):
    before = rights_of(old_server, roles["trials_reader"])
    upgrade_at(old_server)
    with Store.open(as_role(old_server, roles["reader"])) as store:
        assert not store.summary().empty
        with store.database.reading() as connection:
            assert connection.scalar(text("select count(*) from latest")) > 0
    with Store.open(as_role(old_server, roles["writer"]), create=True) as store:
        store.begin(synthetic.run("new"), [])
        with store.database.writing() as connection:
            assert summary.rebuild(connection) > 0
    after = rights_of(old_server, roles["trials_reader"])
    new = {"source", "lease", "reference", "noise_floor", "baseline", "baseline_trial", "annotation"}
    assert set(after) - set(before) <= {*new, "summary", "latest", "point"}
    assert set().union(*after.values()) == {"SELECT"}


def test_the_owner_of_the_tables_owns_what_an_upgrade_by_another_role_has_made(old_server, roles):
    with psycopg.connect(old_server) as connection:
        for name in (*columns_on(old_server), nodebench.name):
            connection.execute(f"alter table {name} owner to {roles['owner']}")
    upgrade_at(old_server)
    with Store.open(as_role(old_server, roles["owner"]), write=True) as store:
        with store.database.writing() as connection:
            summary.remake(connection)
        assert not store.summary().empty


@pytest.fixture
def odd(old_server) -> Iterator[tuple[psycopg.Connection, str, str]]:
    """The owner's connection, and a role with an odd name: the name, and the name quoted for SQL."""
    name = f"a :colon, 100 %s \\ {uuid.uuid4().hex[:8]}"
    quoted = f'"{name}"'
    with psycopg.connect(old_server, autocommit=True) as owner:
        owner.execute(f"create role {quoted} login")
        yield owner, name, quoted
        owner.execute(f"reassign owned by {quoted} to nodebench")
        owner.execute(f"drop owned by {quoted}")
        owner.execute(f"drop role {quoted}")


def test_a_role_of_any_name_keeps_its_privileges_and_gets_no_default_ones(old_server, odd):
    owner, name, quoted = odd
    owner.execute(f"alter default privileges grant select, insert, update, delete on tables to {quoted}")
    owner.execute(f"grant select on trial to {quoted}")
    upgrade_at(old_server)
    assert set().union(*rights_of(old_server, name).values()) == {"SELECT"}
    assert {"trial", "summary", "latest", "source"} <= set(rights_of(old_server, name))


def test_a_privilege_on_a_column_is_kept(old_server, odd):
    owner, name, quoted = odd
    upgrade_at(old_server)
    owner.execute(f"grant select (run_id) on summary to {quoted}")
    with Store.open(old_server, write=True) as store, store.database.writing() as connection:
        before = server_rights.known(connection)
        summary.remake(connection)
        server_rights.restore(connection, before)
    allowed = "select has_column_privilege(%s, 'summary', %s, 'select')"
    assert [owner.execute(allowed, (name, column)).fetchone() for column in ("run_id", "solver")] == [(True,), (False,)]


def test_the_owner_of_one_table_owns_it_after_an_upgrade(old_server, odd):
    owner, name, quoted = odd
    owner.execute(f"grant create on schema public to {quoted}")
    owner.execute(f"alter table run owner to {quoted}")
    upgrade_at(old_server)
    assert owner.execute("select tableowner from pg_tables where tablename = 'run'").fetchone() == (name,)
    owner.execute(f"revoke create on schema public from {quoted}")


def test_tables_that_the_user_has_made_do_not_prevent_an_upgrade(old_server, odd):
    owner, _, _ = odd
    owner.execute('create table mine (x integer[]); create table "we""ird %s :x" (y int4range)')
    assert "was upgraded from schema version 1" in upgrade_at(old_server)


def test_an_object_that_depends_on_a_remade_table_is_named(old_server):
    with psycopg.connect(old_server) as connection:
        connection.execute("create table summary (run_id text); create view of_mine as select * from summary")
    said = r"other objects depend on it: view of_mine depends on table summary\): drop what others have made of it"
    with pytest.raises(StoreError, match=said):
        upgrade_at(old_server)


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


def test_the_backup_of_an_upgraded_server_has_its_earlier_version(old_server, tmp_path):
    backup = tmp_path / upgrade_at(old_server).rpartition(": ")[2]
    with Store.open(old_server) as store, Store.open(backup) as copy:
        assert "a temporary copy of it, upgraded to 6, is read" in copy.notices[0]
        assert copy.trials().equals(store.trials())


def test_the_steps_lead_to_the_schema_of_a_new_server(old_server):
    """Also its comments, which SQLite does not have."""
    upgrade_at(old_server)
    database = Database(old_server, create=False)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": nodebench.name, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


OPENER = """
import sys
from results.opening.ready import upgrade_at
from results.store import Store
sys.stdin.readline()
said = upgrade_at(sys.argv[1])
with Store.open(sys.argv[1]) as store:
    print(len(store.trials()), said)
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_three_processes_that_upgrade_a_database_at_once_upgrade_it_once(engine, request, tmp_path):
    on_server = engine == "postgresql"
    url = request.getfixturevalue("old_server") if on_server else str(shutil.copy(VERSION_1, tmp_path / "bench.db"))
    command, pipe = [sys.executable, "-c", OPENER, url], subprocess.PIPE
    openers = [subprocess.Popen(command, cwd=tmp_path, text=True, stdin=pipe, stdout=pipe) for _ in range(3)]
    for opener in openers:
        opener.stdin.write("\n")
        opener.stdin.flush()
    said = [opener.communicate(timeout=60)[0] for opener in openers]
    assert [opener.returncode for opener in openers] == [0, 0, 0], said
    assert len({line.split()[0] for line in said}) == 1
    assert sum("was upgraded" in line for line in said) == 1
    assert len(list(tmp_path.glob("*-v0001-*.db"))) == 1


def test_a_reader_of_a_server_during_an_upgrade_sees_the_earlier_version(old_server):
    """The reader's snapshot is from before the upgrade and is queried after it."""
    upgrading, opening = Database(old_server, create=False), Database(old_server, create=False)
    with opening.reading() as view:
        view.execute(text("select 1"))
        with upgrading.changing_schema() as connection:
            step_up(connection, "0001")
        assert schema.version(view) == "0001"
    upgrading.close()
    opening.close()

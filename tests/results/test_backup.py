"""A backup: the whole database in a file that can be opened; merging it restores a server."""

import sqlite3
from contextlib import closing

import pytest

from results.engine.location import StoreError
from results.opening import copying
from results.opening.copying import back_up
from results.schema.tables import SCHEMA_VERSION
from results.store import Store
from results.tools.backup import back_up_at
from results.tools.merge import merge
from tests.support.stocked import contents, measure, stock


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        stock(opened)
        yield opened


def test_a_backup_holds_every_row_of_every_table(store, tmp_path):
    path = back_up(store.database, tmp_path / "kept.db")
    assert path == tmp_path / "kept.db"
    with Store.open(str(path)) as copy:
        assert copy.notices == ()
        assert contents(copy) == contents(store)
        assert all(contents(copy).values())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("pragma foreign_key_check").fetchall() == []


def test_a_server_is_restored_from_its_backup(store, server_url, tmp_path):
    path = back_up(store.database, tmp_path / "kept.db")
    fresh = server_url
    if not store.database.is_file:  # that database is the store: another schema of it is the empty database
        fresh = f"{server_url}&options=-csearch_path%3Dfresh"
        with store.database.writing() as connection:
            connection.exec_driver_sql("create schema fresh")
    with Store.open(fresh, create=True) as empty, Store.open(str(path)) as copy:
        merge(empty, copy)
        assert contents(empty, "lease") == contents(store, "lease")


def test_a_backup_leaves_out_tables_that_are_not_nodebenchs(server_url, tmp_path):
    with Store.open(server_url, create=True) as store:
        stock(store)
        with store.database.writing() as connection:
            connection.exec_driver_sql("create table mine (x integer[], y int4range)")
        with Store.open(back_up(store.database, tmp_path / "kept.db")) as copy:
            assert contents(copy) == contents(store)


def test_a_backup_can_be_written_to(store, tmp_path):
    with Store.open(str(back_up(store.database, tmp_path / "kept.db"))) as copy:
        measure(copy, "b", started_at=90.0)
        assert len(copy.runs()) == 4


def test_many_rows_are_copied_in_parts(store, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "_CHUNK", 3)
    with Store.open(str(back_up(store.database, tmp_path / "kept.db"))) as copy:
        assert contents(copy) == contents(store)


def test_a_backup_overwrites_nothing(store, tmp_path):
    (tmp_path / "kept.db").write_text("precious")
    with pytest.raises(StoreError, match="exists: a backup overwrites nothing, pass another name"):
        back_up(store.database, tmp_path / "kept.db")
    assert (tmp_path / "kept.db").read_text() == "precious"


def test_a_backup_that_fails_leaves_nothing(store, tmp_path, monkeypatch):
    def full(_, path):
        path.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(copying, "copy_to", full)
    with pytest.raises(StoreError, match=r"kept.db cannot be written \(No space left on device\)"):
        back_up(store.database, tmp_path / "kept.db")
    assert not list(tmp_path.glob("*kept*"))


def test_the_default_name_of_a_backup_has_version_and_time(store, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (first, _), (second, _) = back_up_at(url), back_up_at(url)
    assert first != second
    for path in (first, second):
        assert f"-v{SCHEMA_VERSION}-" in path.name
        assert (tmp_path / path).exists()


def test_a_foreign_database_is_not_backed_up(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("create table customer (id)")
    with pytest.raises(StoreError, match="is a foreign database"):
        back_up_at(str(tmp_path / "other.db"), tmp_path / "kept.db")
    assert not (tmp_path / "kept.db").exists()

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from results.store import Store, StoreError


def make(path: Path) -> None:
    with Store.open(str(path), create=True):
        pass


def refusal(url, *, create: bool = False) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(str(url), create=create)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_opening_what_is_not_there_creates_nothing(tmp_path):
    message = refusal(tmp_path / "out" / "bench.db")
    assert message == f"no database at {tmp_path}/out/bench.db: run `nodebench run` first or pass --db"
    assert list(tmp_path.iterdir()) == []


def test_create_makes_the_folders_above(tmp_path):
    path = tmp_path / "a" / "b" / "bench.db"
    make(path)
    with Store.open(str(path)) as store:
        assert store.runs().empty


def test_a_path_and_its_url_are_the_same_database(tmp_path):
    make(tmp_path / "bench.db")
    with Store.open(f"sqlite:///{tmp_path}/bench.db") as store:
        assert store.runs().empty


@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_is_not_sqlite_is_refused_and_kept(tmp_path, create):
    path = tmp_path / "notes.txt"
    path.write_text("a page of notes")
    assert "is not an SQLite database" in refusal(path, create=create)
    assert path.read_text() == "a page of notes"


@pytest.mark.parametrize("create", [False, True])
def test_a_foreign_database_is_refused_and_kept(tmp_path, create):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table customer (id)")
    before = path.read_bytes()
    assert "foreign database (it has a table 'customer'" in refusal(path, create=create)
    assert path.read_bytes() == before


def test_an_empty_file_is_refused_without_create(tmp_path):
    path = tmp_path / "bench.db"
    path.touch()
    assert "is empty: run `nodebench run` first" in refusal(path)
    make(path)


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "bench.db"
    make(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update nodebench set version_num = '0099'")
        connection.commit()
    assert "has schema version 99, this nodebench knows 2: update nodebench" in refusal(path, create=True)


def test_a_folder_is_refused(tmp_path):
    assert f"{tmp_path} is a folder: pass --db with a file" in refusal(tmp_path, create=True)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be opened" in refusal(tmp_path / "file" / "bench.db", create=True)


def test_an_unwritable_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    folder = Path("/proc") if os.geteuid() == 0 else tmp_path  # root may write into every folder but such a one
    assert f"{folder}/bench.db cannot be" in refusal(folder / "bench.db", create=True)


@pytest.mark.parametrize("url", ["://", "sqlite:/bench.db", "postgresql://host:port/db"])
def test_a_malformed_url_is_refused(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f"malformed database URL {url!r}: write a path such as" in refusal(url, create=True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_name_is_refused():
    assert "name is empty: pass --db" in refusal(" ")


def test_an_unknown_kind_of_database_is_refused():
    assert "unknown kind of database 'paper'" in refusal("paper://shelf")


def test_a_missing_driver_is_named_and_the_password_is_not():
    message = refusal("oracle://scott:tiger@host/db")
    assert "needs the Python package 'oracledb', which is not installed: pip install oracledb" in message
    assert "tiger" not in message


def test_a_damaged_database_is_one_line(tmp_path):
    path = tmp_path / "bench.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    assert "cannot be read" in refusal(path)

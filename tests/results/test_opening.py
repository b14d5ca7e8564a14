"""Opening a database: each path and URL is opened or refused in one line, and opening alone creates nothing."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from results.engine.location import locate, place
from results.store import Store, StoreError
from tests.support.forked import PLAN, a_run
from tests.support.places import ROOT


def make(path: Path) -> None:
    with Store.open(str(path), create=True):
        pass


def refusal(url, *, create: bool = False) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(str(url), create=create)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_opening_a_missing_database_creates_nothing(tmp_path):
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
    assert "has schema version 99, this nodebench knows 6: update nodebench" in refusal(path, create=True)


def test_a_folder_is_refused(tmp_path):
    assert f"{tmp_path} is a folder: pass --db with a file" in refusal(tmp_path, create=True)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be opened" in refusal(tmp_path / "file" / "bench.db", create=True)


def test_an_unwritable_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    folder = Path("/proc") if os.geteuid() == 0 else tmp_path  # root may write into every other folder
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


@pytest.mark.parametrize("scheme", ["oracle", "mysql", "mysql+pymysql", "postgresql+psycopg2", "sqlite+aiosqlite"])
def test_an_unsupported_kind_of_database_is_named_without_its_password(scheme):
    message = refusal(f"{scheme}://scott:tiger@host/db")
    assert f"unknown kind of database {scheme!r}: write a path such as out/bench.db" in message
    assert "tiger" not in message


def test_a_damaged_database_is_refused_in_one_line(tmp_path):
    path = tmp_path / "bench.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://scott:tiger@host:5432/db?password=tiger",
        "postgresql+psycopg://scott:tiger@host:5432/db",
        "postgresql://scott@host:5432/db?password=tiger&sslpassword=tiger",
    ],
)
def test_a_servers_place_is_its_url_without_driver_and_secrets(url):
    assert place(locate(url, create=False)) == "postgresql://scott@host:5432/db"


@pytest.mark.parametrize("url", ["postgresql://scott:ti@ger@host:port/db", "postgresql://host:port/db?password=tiger"])
def test_a_malformed_url_shows_no_password(url):
    assert "ger" not in refusal(url)


def test_a_missing_driver_for_postgresql_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    message = refusal("postgresql://scott:tiger@host/db")
    assert "postgresql://scott@host/db needs the Python package 'psycopg'" in message
    assert message.endswith("pip install 'psycopg[binary]'")


def of_server(url: str, **changes: str) -> str:
    """The test server's URL with another host, port, user, password or database."""
    parsed = make_url(url)
    query = {name: changes.pop(name) for name in ("host", "port") if name in changes}
    return parsed.set(**changes).update_query_dict(query).render_as_string(hide_password=False)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("changes", "seen", "advice"),
    [
        ({"host": "/nowhere"}, "No such file or directory", "start the server, or check host and port in the URL"),
        ({"host": "127.0.0.1", "port": "1"}, "Connection refused", "start the server, or check host and port"),
        ({"host": "no.invalid"}, "resolve host", "check the host in the URL"),
        ({"database": "none_such"}, 'database "none_such" does not exist', "make it with createdb, or check its name"),
        ({"username": "nobody_such"}, 'role "nobody_such" does not exist', "check the user in the URL"),
        ({"username": "nodebench_locked"}, "no password supplied", "check the user and the password in the URL"),
        ({"username": "nodebench_locked", "password": "tiger"}, "password authentication failed", "check the user and"),
    ],
)
def test_a_server_that_cannot_be_logged_into_is_refused_in_one_line_with_the_cause(
    server_url, changes, seen, advice, create
):
    message = refusal(of_server(server_url, **changes), create=create)
    assert message.startswith("postgresql://")
    assert seen in message
    assert advice in message
    assert "tiger" not in message


def as_common_user(*lines: str) -> str:
    """The output of a Python program that must obey file permissions, also where the tests run as root."""
    capabilities = "-dac_override,-dac_read_search"
    root = ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"] if os.geteuid() == 0 else []
    done = subprocess.run([*root, sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


READ = ("import sys", "import results", "with results.open({path!r}) as store:", "    print(len(store.runs()))")


@pytest.fixture
def archive(tmp_path) -> Iterator[Path]:
    """A database in a folder where nothing can be written."""
    folder = tmp_path / "archive"
    make(folder / "bench.db")
    (folder / "bench.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder / "bench.db"
    folder.chmod(0o755)


def test_a_database_on_read_only_media_is_read(archive):
    assert as_common_user(*(line.format(path=str(archive)) for line in READ)) == "0\n"
    assert [path.name for path in archive.parent.iterdir()] == ["bench.db"]


def test_a_read_only_file_is_read_where_its_folder_can_be_written(archive):
    archive.parent.chmod(0o755)
    assert as_common_user(*(line.format(path=str(archive)) for line in READ)) == "0\n"


def test_a_read_only_database_is_read_while_another_writes_to_it(archive):
    archive.parent.chmod(0o755)
    with Store.open(str(archive), create=True) as writer:
        writer.begin(a_run("run-1"), PLAN)
        archive.parent.chmod(0o555)
        assert as_common_user(*(line.format(path=str(archive)) for line in READ)) == "1\n"


@pytest.mark.exhaustive
def test_changes_in_a_write_ahead_log_on_read_only_media_are_read(archive):
    archive.parent.chmod(0o755)
    with Store.open(str(archive), create=True) as writer:
        writer.begin(a_run("run-1"), PLAN)
        shutil.copytree(archive.parent, archive.parent.parent / "copy")
    copy = archive.parent.parent / "copy" / "bench.db"
    copy.with_name("bench.db-shm").unlink()
    copy.parent.chmod(0o555)
    assert as_common_user(*(line.format(path=str(copy)) for line in READ)) == "1\n"
    copy.parent.chmod(0o755)
    assert sorted(path.name for path in copy.parent.iterdir()) == ["bench.db", "bench.db-wal"]


def test_a_run_on_a_read_only_database_is_refused_before_it_measures(archive):
    said = as_common_user(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})",
        "from tests.support.forked import PLAN, a_run",
        "from results.store import Store",
        f"with Store.open({str(archive)!r}, create=True) as store:",
        "    store.begin(a_run('run-1'), PLAN)",
    )
    assert "bench.db cannot be" in said
    assert "copy it to where it can be written, or pass --db with another path" in said

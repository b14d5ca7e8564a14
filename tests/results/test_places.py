"""Names and places of a database: it is opened, or refused in one line, and no other file is made."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from results.engine.location import expanded
from results.store import Store, StoreError
from results.write.spool import Spool
from tests.support.stocked import stock


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """The user's home, which is not the working folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


IN_MEMORY = "is in memory, and gone with the process that measures: pass --db with a path"
REFUSED = {
    ":memory:": IN_MEMORY,
    "sqlite://": IN_MEMORY,
    "sqlite:///": IN_MEMORY,
    "sqlite:///:memory:": IN_MEMORY,
    "sqlite:///file:x?mode=memory&uri=true": IN_MEMORY,
    "file::memory:?cache=shared": IN_MEMORY,
    "file:x.db": "is SQLite's own kind of URI: pass --db with the path alone",
    "sqlite:///file:x.db?uri=true": "is SQLite's own kind of URI: pass --db with the path alone",
    "sqlite://out/bench.db": "names a host, which a file has not: write sqlite:///out/bench.db, with three slashes",
    "sqlite://~/x.db": "names a host, which a file has not: write sqlite:///~/x.db, with three slashes",
    "sqlite:///x.db?mode=ro": "has options, of which SQLite's URL takes none: write sqlite:///x.db",
    "sqlite:x.db": "malformed database URL 'sqlite:x.db': write a path such as",
    "postgresql:me@host/db": "malformed database URL 'postgresql:me@host/db': write a path such as",
    "postgres://me:tiger@host/db": "its scheme is postgresql now, write postgresql://me@host/db",
    "postgresql://host": "names no database: write it as in postgresql://user@host/name",
    "file:///tmp/x.db": "unknown kind of database 'file': write a path such as",
    "~nobodysuch/x.db": "no home folder is known for ~nobodysuch: write the whole path, or ./~nobodysuch/x.db",
    "sqlite:///~nobodysuch/x.db": "no home folder is known for ~nobodysuch",
    "a\0b.db": "no file's name has a zero byte",
    "out/": "out is a folder: pass --db with a file, such as out/bench.db",
}


@pytest.mark.parametrize("url", REFUSED, ids=lambda url: repr(url[:30]))
@pytest.mark.parametrize("create", [False, True])
def test_a_name_that_cannot_be_a_file_is_refused_in_one_line_with_the_remedy(url, create):
    with pytest.raises(StoreError) as caught:
        Store.open(url, create=create)
    assert REFUSED[url] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "tiger" not in str(caught.value)
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 300, "File name too long"),
        ("x" * 250, "File name too long"),  # for SQLite's files beside it
        ("/".join(["x" * 60] * 9), "is longer than the 500 bytes that SQLite takes: pass a shorter path"),
    ],
)
def test_a_name_that_is_too_long_creates_nothing(name, said):
    with pytest.raises(StoreError, match=said):
        Store.open(name, create=True)
    assert os.listdir() == []


def test_the_command_line_prints_the_same_refusal(call):
    code, out, err = call("db", "stats", "--db", "sqlite://out/bench.db")
    assert (code, out) == (2, "")
    assert err.startswith("nodebench: sqlite://out/bench.db names a host")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "name",
    ["a:b.db", "C:x.db", "out/2026-11-28T10:00.db", "a?b.db", "a#b%20.db", "a 'b'.db", "é漢.db", "-x.db", "./file:x",
     "./~x.db", "out/x://y.db", os.fsdecode(b"\xff.db")],
    ids=ascii,
)  # fmt: skip
def test_any_other_name_is_a_path(name):
    with Store.open(name, create=True) as store:
        stock(store)
    with Store.open(name) as store:
        assert not store.trials().empty
    assert Path(name).is_file()
    assert not any(Path(name).parent.glob("*-wal"))


@pytest.mark.parametrize("url", ["~/x.db", "sqlite:///~/x.db"])
def test_the_home_folder_is_expanded_in_the_name_of_a_database(url, home):
    with Store.open(url, create=True) as store:
        assert store.database.place == str(home / "x.db")
    assert (home / "x.db").exists()
    assert os.listdir() == []


def test_the_home_folder_is_expanded_in_every_other_path(call, home):
    with Store.open("~/x.db", create=True) as store:
        stock(store)
    (home / "mine.toml").write_text("not a sweep")
    of_home = ("--db", "~/x.db")
    assert call("db", "export", "~/x.csv", *of_home)[0] == 0
    assert call("db", "backup", "~/b.db", *of_home)[0] == 0
    assert call("db", "merge", "~/b.db", *of_home)[0] == 0
    assert call("report", "-o", "~/page", *of_home)[0] == 0
    assert f"{home}/f.json cannot be read" in call("db", "import", "~/f.json", *of_home)[2]
    assert "mine.toml: not TOML" in call("plan", "~/mine.toml", *of_home)[2]
    assert {"x.db", "x.csv", "b.db", "page"} <= set(os.listdir(home))
    assert os.listdir() == []
    code, _, err = call("report", "-o", "~nobodysuch/page", *of_home)
    assert (code, err.count("\n")) == (2, 1)
    assert "no home folder is known for ~nobodysuch" in err


def test_without_a_home_no_folder_is_guessed(monkeypatch):
    monkeypatch.setenv("HOME", "")
    with pytest.raises(StoreError, match="no home folder is known for ~: write the whole path"):
        expanded("~/x.db")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)  # the name of a socket is short, its path may be long


NO_FILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (os.mkfifo, "is a pipe, not a file"),
    "socket": (a_socket, "is a socket, not a file"),
    "device": (lambda path: path.symlink_to("/dev/null"), "is a device, not a file"),
    "loop": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    "lost link": (lambda path: path.symlink_to("/nowhere/x.db"), "is a link to /nowhere/x.db, which is not there"),
}


@pytest.mark.parametrize("kind", NO_FILE)
@pytest.mark.parametrize("create", [False, True])
def test_a_pipe_socket_device_or_broken_link_is_refused_at_once(kind, create):
    make, said = NO_FILE[kind]
    make(Path("x.db"))
    with pytest.raises(StoreError, match=said) as caught:
        Store.open("x.db", create=create)
    assert "\n" not in str(caught.value)
    assert os.listdir() == ["x.db"]


def test_a_link_opens_the_database_that_it_points_to(tmp_path):
    (tmp_path / "disk").mkdir()
    Path("link.db").symlink_to(tmp_path / "disk" / "bench.db")
    with Store.open("link.db", create=True) as store:
        stock(store)
        folders = Spool.of(store.database).folders
        assert sorted(os.listdir(tmp_path / "disk")) == ["bench.db", "bench.db-shm", "bench.db-wal"]
    assert os.listdir() == ["link.db"]
    with Store.open(str(tmp_path / "disk" / "bench.db")) as store:
        assert Spool.of(store.database).folders == folders
        assert not store.trials().empty


def test_an_unknown_option_in_a_servers_url_is_named(server_url):
    with pytest.raises(StoreError, match=r'invalid connection option "nosuch"\): check what the URL says after its'):
        Store.open(f"{server_url}&nosuch=1")

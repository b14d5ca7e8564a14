"""A server that accepts and never answers blocks no recording: what was measured is spooled within the patience."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from results.engine.location import UnwritableError
from results.store import Store
from results.write.spool import Spool
from tests.support.forked import CELLS, PLAN, a_run, a_trial

PATIENCE_S = 6.0


class Between:
    """What stands between a client and a real server, and can fall silent: it accepts, and passes nothing on."""

    def __init__(self, socket_file: str) -> None:
        self._socket_file = socket_file
        self.mute = threading.Event()
        self.swallowed = b""  # once a client has said this, it has no more answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._socket_file)
        other, deaf = {client: server, server: client}, False
        with client, server, suppress(OSError):
            while True:
                ready, _, _ = select.select([] if self.mute.is_set() else list(other), [], [], 0.05)
                for one in ready:
                    if not (said := one.recv(65536)):
                        return
                    deaf = deaf or bool(self.swallowed and one is client and self.swallowed in said)
                    if one is client or not deaf:
                        other[one].sendall(said)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def between(server_url) -> Iterator[Between]:
    found = Between(f"{psycopg.conninfo.conninfo_to_dict(server_url)['host']}/.s.PGSQL.5432")
    yield found
    found.mute.clear()
    found.close()


@pytest.fixture
def store(server_url, between, tmp_path: Path, monkeypatch) -> Iterator[Store]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("results.engine.database.PATIENCE_S", PATIENCE_S)
    name = psycopg.conninfo.conninfo_to_dict(server_url)["dbname"]
    with Store.open(f"postgresql://nodebench@127.0.0.1:{between.port}/{name}", create=True) as opened:
        opened.begin(a_run("run-1"), PLAN)
        yield opened


def test_a_trial_is_spooled_within_the_patience_and_taken_in_when_the_server_speaks_again(store, between):
    store.record("run-1", a_trial(CELLS[0], 0))
    between.mute.set()
    started = time.monotonic()
    store.record("run-1", a_trial(CELLS[0], 1))
    assert time.monotonic() - started < PATIENCE_S
    assert "its server has said nothing for 4 s): see whether it hangs" in store.spooled.reason
    started = time.monotonic()
    store.record("run-1", a_trial(CELLS[0], 2))  # what has been refused once is not waited for each time
    assert time.monotonic() - started < PATIENCE_S
    assert len(store.spooled.files) == 2
    between.mute.clear()
    store.record("run-1", a_trial(CELLS[0], 3))
    assert store.spooled.files == ()
    assert sorted(store.trials()["process_index"]) == [0, 1, 2, 3]


@pytest.mark.parametrize("from_then_on", [b"BEGIN", b"INSERT INTO trial", b"COMMIT"])
def test_so_it_is_where_each_new_connection_is_answered_at_first(store, between, from_then_on):
    between.swallowed = from_then_on
    started = time.monotonic()
    store.record("run-1", a_trial(CELLS[0], 0))
    assert time.monotonic() - started < PATIENCE_S
    assert len(store.spooled.files) == 1
    between.swallowed = b""
    store.record("run-1", a_trial(CELLS[0], 1))
    assert (store.spooled.files, sorted(store.trials()["process_index"])) == ((), [0, 1])


def test_who_opens_a_server_that_is_silent_after_its_greeting_is_told(store, between):
    between.swallowed = b"pg_catalog.version"  # the first that is asked
    started = time.monotonic()
    with pytest.raises(UnwritableError, match="its server has said nothing for 4 s"):
        Store.open(store.database.url.render_as_string(hide_password=False))
    assert time.monotonic() - started < PATIENCE_S


def test_what_waits_does_not_keep_an_opening_waiting(store, between):
    Spool.of(store.database).put("run-1", a_trial(CELLS[0], 0))
    between.swallowed = b"INSERT INTO trial"
    started = time.monotonic()
    with Store.open(store.database.url.render_as_string(hide_password=False), create=True) as opened:
        assert time.monotonic() - started < PATIENCE_S
        (notice,) = opened.notices
        assert "1 spooled trial(s) stay in" in notice


def test_a_run_ends_although_the_server_says_nothing(store, between, server_url):
    between.mute.set()
    with pytest.raises(UnwritableError, match="has said nothing"):
        store.finish("run-1", state="complete")
    between.mute.clear()
    with Store.open(server_url, create=True) as again:
        assert list(again.runs()["state"]) == ["complete"]


def test_what_takes_a_server_long_is_waited_for_where_nothing_is_recorded(server_url, monkeypatch):
    monkeypatch.setattr("results.engine.database.PATIENCE_S", 0.1)
    with Store.open(server_url, create=True) as reader, reader.database.reading() as connection:
        connection.exec_driver_sql("select pg_sleep(2.5)")
        assert connection.exec_driver_sql("select 1").scalar() == 1

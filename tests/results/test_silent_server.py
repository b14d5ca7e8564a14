"""A server that accepts and never answers does not block recording: trials are spooled within PATIENCE_S."""

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


class Proxy:
    """A proxy of a real server that can fall silent: it then accepts connections and passes nothing on."""

    def __init__(self, socket_file: str) -> None:
        self._socket_file = socket_file
        self.mute = threading.Event()
        self.swallowed = b""  # once a client has sent these bytes, it gets no more answers
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
def proxy(server_url) -> Iterator[Proxy]:
    found = Proxy(f"{psycopg.conninfo.conninfo_to_dict(server_url)['host']}/.s.PGSQL.5432")
    yield found
    found.mute.clear()
    found.close()


@pytest.fixture
def store(server_url, proxy, tmp_path: Path, monkeypatch) -> Iterator[Store]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("results.engine.database.PATIENCE_S", PATIENCE_S)
    name = psycopg.conninfo.conninfo_to_dict(server_url)["dbname"]
    with Store.open(f"postgresql://nodebench@127.0.0.1:{proxy.port}/{name}", create=True) as opened:
        opened.begin(a_run("run-1"), PLAN)
        yield opened


def test_a_trial_is_spooled_within_the_patience_and_taken_in_when_the_server_answers_again(store, proxy):
    store.record("run-1", a_trial(CELLS[0], 0))
    proxy.mute.set()
    started = time.monotonic()
    store.record("run-1", a_trial(CELLS[0], 1))
    assert time.monotonic() - started < PATIENCE_S
    assert "its server has said nothing for 4 s): see whether it hangs" in store.spooled.reason
    started = time.monotonic()
    store.record("run-1", a_trial(CELLS[0], 2))  # after the first failure a trial does not wait
    assert time.monotonic() - started < PATIENCE_S
    assert len(store.spooled.files) == 2
    proxy.mute.clear()
    store.record("run-1", a_trial(CELLS[0], 3))
    assert store.spooled.files == ()
    assert sorted(store.trials()["process_index"]) == [0, 1, 2, 3]


@pytest.mark.parametrize("from_then_on", [b"BEGIN", b"INSERT INTO trial", b"COMMIT"])
def test_a_trial_is_spooled_also_if_each_new_connection_is_answered_at_first(store, proxy, from_then_on):
    proxy.swallowed = from_then_on
    started = time.monotonic()
    store.record("run-1", a_trial(CELLS[0], 0))
    assert time.monotonic() - started < PATIENCE_S
    assert len(store.spooled.files) == 1
    proxy.swallowed = b""
    store.record("run-1", a_trial(CELLS[0], 1))
    assert (store.spooled.files, sorted(store.trials()["process_index"])) == ((), [0, 1])


def test_opening_a_server_that_is_silent_after_its_greeting_fails_with_a_reason(store, proxy):
    proxy.swallowed = b"pg_catalog.version"  # in the first query
    started = time.monotonic()
    with pytest.raises(UnwritableError, match="its server has said nothing for 4 s"):
        Store.open(store.database.url.render_as_string(hide_password=False))
    assert time.monotonic() - started < PATIENCE_S


def test_spooled_trials_do_not_delay_the_opening_of_a_silent_server(store, proxy):
    Spool.of(store.database).put("run-1", a_trial(CELLS[0], 0))
    proxy.swallowed = b"INSERT INTO trial"
    started = time.monotonic()
    with Store.open(store.database.url.render_as_string(hide_password=False), create=True) as opened:
        assert time.monotonic() - started < PATIENCE_S
        (notice,) = opened.notices
        assert "1 spooled trial(s) stay in" in notice


def test_a_run_ends_although_the_server_says_nothing(store, proxy, server_url):
    proxy.mute.set()
    with pytest.raises(UnwritableError, match="has said nothing"):
        store.finish("run-1", state="complete")
    proxy.mute.clear()
    with Store.open(server_url, create=True) as again:
        assert list(again.runs()["state"]) == ["complete"]


def test_a_long_query_is_waited_for_where_nothing_is_recorded(server_url, monkeypatch):
    monkeypatch.setattr("results.engine.database.PATIENCE_S", 0.1)
    with Store.open(server_url, create=True) as reader, reader.database.reading() as connection:
        connection.exec_driver_sql("select pg_sleep(2.5)")
        assert connection.exec_driver_sql("select 1").scalar() == 1

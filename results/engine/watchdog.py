"""The end of waiting for a server that accepts connections and then does not answer.

Neither TCP nor libpq detects it: the operating system of the server still acknowledges packets for a stopped process.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from sqlalchemy import Engine, event

_RETRY_S = 0.25


class Watchdog:
    """The connections of an engine, which are cut when the server does not answer in time."""

    def __init__(self, engine: Engine) -> None:
        self._connections: WeakSet[Any] = WeakSet()
        self.given_up_s: float | None = None  # seconds after which the connections were cut; None: they were not
        # insert=True: before SQLAlchemy's own listener, which sends statements over the first connection.
        event.listen(engine, "connect", lambda connection, _: self._connections.add(connection), insert=True)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A body whose connections are cut after `seconds`, so that a call that still waits on one raises an error."""
        self.given_up_s = None
        ended = threading.Event()
        threading.Thread(target=self._watch, args=[ended, seconds], daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _watch(self, ended: threading.Event, seconds: float) -> None:
        if ended.wait(seconds):
            return
        self.given_up_s = seconds
        while not ended.is_set():  # a caller whose connection was cut may have connected again
            self._cut()
            ended.wait(_RETRY_S)

    def _cut(self) -> None:
        for connection in list(self._connections):
            # Exceptions are suppressed: the connection may be closed already.
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)

"""A server that accepts and says nothing more: who waits for it is freed after a while.

Neither TCP nor libpq see to that, as the server's system goes on to answer for a process that has stopped.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from sqlalchemy import Engine, event


class Answering:
    """The connections of an engine, and whether one of them was given up."""

    def __init__(self, engine: Engine) -> None:
        self._connections: WeakSet[Any] = WeakSet()
        self.given_up_s: float | None = None  # after so many seconds without an answer
        event.listen(engine, "connect", lambda connection, _: self._connections.add(connection))

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """In this time all is done, or what waits has an error: its connections are cut, and cannot be used again."""
        self.given_up_s = None
        timer = threading.Timer(seconds, self._give_up, [seconds])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _give_up(self, seconds: float) -> None:
        self.given_up_s = seconds
        for connection in list(self._connections):
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as same:  # unless it is closed
                same.shutdown(socket.SHUT_RDWR)

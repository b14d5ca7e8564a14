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

_AGAIN_S = 0.25


class Answering:
    """The connections of an engine, and whether one of them was given up."""

    def __init__(self, engine: Engine) -> None:
        self._connections: WeakSet[Any] = WeakSet()
        self.given_up_s: float | None = None  # after so many seconds without an answer
        # Before SQLAlchemy's own: the first connection is asked what it is.
        event.listen(engine, "connect", lambda connection, _: self._connections.add(connection), insert=True)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A body that ends within so many seconds, or has its connections cut: whoever waits on them gets an error."""
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
            ended.wait(_AGAIN_S)

    def _cut(self) -> None:
        for connection in list(self._connections):
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as same:  # unless it is closed
                same.shutdown(socket.SHUT_RDWR)

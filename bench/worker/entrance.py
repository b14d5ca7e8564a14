"""The first lines of a worker: that it has started, before it does anything of its cell, or why it cannot.

What comes before is the machine's doing, what comes after the cell's. Torch is imported only in here, so that a worker
that cannot import it says so.
"""

from multiprocessing.connection import Connection
from pathlib import Path

from bench.worker.outcome import Started
from bench.worker.task import Task


def serve(connection: Connection, task: Task, log: Path) -> None:
    """Do one task in this process, which is a new one."""
    try:
        from bench.worker import isolated
    except Exception as error:  # noqa: BLE001  (whatever an import raises, it is not the cell's doing)
        connection.send(Started(f"{type(error).__name__}: {error}"))
    else:
        isolated.serve(connection, task, log)

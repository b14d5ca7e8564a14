"""The entry point of a worker: it reports that it has started, or why it cannot, before it does anything for its cell.

A failure before this report is the machine's, a failure after it is the cell's. Torch is imported only in here, so that
a worker that cannot import it reports that.
"""

from multiprocessing.connection import Connection
from pathlib import Path

from bench.worker.outcome import Started
from bench.worker.task import Task


def serve(connection: Connection, task: Task, log: Path) -> None:
    """Do one task in this process, which was started for it."""
    try:
        from bench.worker import isolated
    except Exception as error:  # noqa: BLE001  (whatever an import raises, the cell is not the cause)
        connection.send(Started(f"{type(error).__name__}: {error}"))
    else:
        isolated.serve(connection, task, log)

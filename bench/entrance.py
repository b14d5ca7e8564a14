"""The first lines of a worker: that it has started, before it does anything of its cell, or why it cannot.

What comes before is the machine's doing, what comes after the cell's. Torch is imported only in here, so that a worker
that cannot import it says so.
"""

from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bench.task import Task


@dataclass(frozen=True)
class Started:
    """The first word of a worker."""

    obstacle: str = ""  # why it cannot go on; empty: it goes on


def serve(connection: Connection, task: Task, log: Path) -> None:
    """Do one task in this process, which is a new one."""
    try:
        from bench import worker
    except Exception as error:  # noqa: BLE001  (whatever an import raises, it is not the cell's doing)
        connection.send(Started(f"{type(error).__name__}: {error}"))
    else:
        worker.serve(connection, task, log)

"""Two more backends for workers: the same core under another name, and the same core made 10 % slower."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from torch import Tensor

from bench.backends import BACKENDS
from bench.backends.node import NodeBackend
from bench.problems import Problem
from bench.worker import isolated as worker
from bench.worker.task import Task
from bench.workload import Workload
from results.records import Cell

SLOWDOWN = 1.1


class Again(NodeBackend):
    """The same core under another name, which does not differ from it."""

    name = "again"


class Planted(NodeBackend):
    """The same core, with each call made longer by a tenth of its time."""

    name = "planted"

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """The workload of a cell, with its solve slowed down."""
        workload = super().prepare(cell, problem)
        return _Slowed(workload.instance, workload.solve)


_BOTH = (Again(), Planted())


class _Slowed(Workload):
    def forward(self) -> Tensor:
        with _slowed():
            return super().forward()

    def gradient(self) -> Tensor:
        with _slowed():
            return super().gradient()


@contextmanager
def _slowed() -> Iterator[None]:
    start = time.perf_counter()
    yield
    end = start + SLOWDOWN * (time.perf_counter() - start)
    while time.perf_counter() < end:
        pass


def register() -> None:
    """Register both backends."""
    for backend in _BOTH:
        BACKENDS.register(backend)


def serve(connection: Connection, task: Task, log: Path) -> None:
    """The entry point of a worker with both backends."""
    register()
    worker.serve(connection, task, log)

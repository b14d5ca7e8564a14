"""What workers are started from. It loads torch, which takes seconds, beside whatever its caller goes on to load."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess, current_process

import psutil

from bench import working_folder
from bench.interrupt import terminal_signals_blocked
from bench.machine import temporary
from bench.machine.descendants import fork_server

_GOING_S = 1.0


def start() -> None:
    """Begin to load, and come back at once. Ctrl-C is for the run to answer, not for what it is loaded by."""
    _preloaded()
    with _apart():
        with terminal_signals_blocked():
            resource_tracker.ensure_running()  # or the next would start it, and end with Ctrl-C unblocked
        with terminal_signals_blocked():
            forkserver.ensure_running()


def context(device: str) -> SpawnContext | ForkServerContext:
    """Of the processes that measure on a device: forked in 0.03 s. CUDA does not survive a fork, so spawned there."""
    return multiprocessing.get_context("spawn") if device.startswith("cuda") else _preloaded()


def begin(process: BaseProcess) -> None:
    """Start a worker process, and the servers that multiprocessing starts for the first of them."""
    with _apart(), terminal_signals_blocked():
        process.start()


def have_sockets_in(folder: str) -> None:
    """Let multiprocessing make its sockets in this folder, unless it has one already.

    By a private dictionary: there is no public way to say it that leaves other temporary files where they are.
    """
    current_process()._config.setdefault("tempdir", folder)  # type: ignore[attr-defined]


def is_gone(process: int) -> bool:
    """Whether somebody has killed the server of this number: nobody knows how the workers end that it has forked.

    It takes a moment to be gone, after its workers have been found to have ended.
    """
    until = time.monotonic() + _GOING_S
    with suppress(psutil.NoSuchProcess):
        while (goes_on := psutil.Process(process).status() != psutil.STATUS_ZOMBIE) and time.monotonic() < until:
            time.sleep(_GOING_S / 100)
        return not goes_on
    return True


def stop() -> None:
    """End it, though it may still load: it holds the run's streams, and who reads them would wait for their end."""
    if process := fork_server():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _preloaded() -> ForkServerContext:
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["bench.worker.preload"])
    return forking


@contextmanager
def _apart() -> Iterator[None]:
    """A body whose new processes import nothing from the working folder and have the run's temporary folder.

    That is so from their start. Their path and their working folder then become their parent's, as in multiprocessing.
    """
    folder = str(temporary.folder())
    have_sockets_in(folder)
    ours = {**working_folder.variables(), "TMPDIR": folder}
    if not os.access(os.path.expanduser("~"), os.R_OK | os.X_OK):  # noqa: PTH111  (Path's raises without a home)
        ours["HOME"] = folder
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        with _somewhere(folder):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _somewhere(folder: str) -> Iterator[None]:
    """A body in which multiprocessing can tell a new process where to go: to `folder`, where nobody can go to ours.

    It was deleted, or is another user's. What a new process cannot enter ends it.
    """
    asked = os.getcwd
    try:
        os.chdir(asked())
    except OSError:
        os.getcwd = lambda: folder
    try:
        yield
    finally:
        os.getcwd = asked

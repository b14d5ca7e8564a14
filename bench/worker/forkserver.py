"""The forkserver, from which workers are forked. It loads torch, which takes seconds, while the run goes on loading."""

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

_ENDING_S = 1.0  # for a killed server to be gone


def start() -> None:
    """Start the forkserver without waiting for it to load. It ignores Ctrl-C, which is for the run to answer."""
    _preloaded()
    with _isolated_start():
        with terminal_signals_blocked():
            resource_tracker.ensure_running()  # otherwise the next call would start it, and leave Ctrl-C unblocked
        with terminal_signals_blocked():
            forkserver.ensure_running()


def context(device: str) -> SpawnContext | ForkServerContext:
    """The start method of workers on a device: forked in 0.03 s; spawned for CUDA, which does not survive a fork."""
    return multiprocessing.get_context("spawn") if device.startswith("cuda") else _preloaded()


def begin(process: BaseProcess) -> None:
    """Start a worker process; with the first one, multiprocessing starts its servers."""
    with _isolated_start(), terminal_signals_blocked():
        process.start()


def have_sockets_in(folder: str) -> None:
    """Let multiprocessing make its sockets in this folder, unless it already has a folder.

    This sets a private dictionary: every public way would move all other temporary files too.
    """
    current_process()._config.setdefault("tempdir", folder)  # type: ignore[attr-defined]


def is_gone(process: int) -> bool:
    """Whether the forkserver with this process id has been killed, so that nobody learns how its workers end.

    After its workers are seen to have ended, a killed server takes a moment to be gone.
    """
    until = time.monotonic() + _ENDING_S
    with suppress(psutil.NoSuchProcess):
        while (lives := psutil.Process(process).status() != psutil.STATUS_ZOMBIE) and time.monotonic() < until:
            time.sleep(_ENDING_S / 100)
        return not lives
    return True


def stop() -> None:
    """Kill the forkserver, even while it loads: it holds the run's streams open, and their reader would wait for it."""
    if process := fork_server():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _preloaded() -> ForkServerContext:
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["bench.worker.preload"])
    return forking


@contextmanager
def _isolated_start() -> Iterator[None]:
    """A body whose new processes import nothing from the working folder and have the run's temporary folder.

    This holds from their start. Then multiprocessing sets their path and working folder to those of their parent.
    """
    folder = str(temporary.folder())
    have_sockets_in(folder)
    ours = {**working_folder.variables(), "TMPDIR": folder}
    if not os.access(os.path.expanduser("~"), os.R_OK | os.X_OK):  # noqa: PTH111  (Path's raises without a home)
        ours["HOME"] = folder
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        with _enterable_folder(folder):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _enterable_folder(folder: str) -> Iterator[None]:
    """A body in which multiprocessing sends new processes to `folder` if our working folder cannot be entered.

    It may have been deleted, or be another user's. A new process that cannot enter its working folder ends.
    """
    original = os.getcwd
    try:
        os.chdir(original())
    except OSError:
        os.getcwd = lambda: folder
    try:
        yield
    finally:
        os.getcwd = original

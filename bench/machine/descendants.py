"""The descendants of a worker: all processes that it has started, directly or not, which are ended with it.

A process group is not enough, as a process can leave it. On Linux, a process whose parent has ended becomes a child
of the nearest ancestor that is a "child subreaper": the worker while it lives, then the forkserver. On other systems
such processes are lost to init once the worker has ended by itself.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterable
from multiprocessing import forkserver
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_PATIENCE_S = 5.0  # for a killed process to be gone
_POLL_S = 0.001


def adopt() -> None:
    """Make this process the parent of those of its descendants whose own parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        # The forkserver's warning when a child that it has adopted ends.
        warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")


def end_all_of(worker: int) -> None:
    """Kill a living worker's process group and all its descendants."""
    started = list(_descendants(worker))
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it leads no group yet, or an empty one
        os.killpg(worker, signal.SIGKILL)
    _kill(started)


def fork_server() -> int | None:
    """The process id of the forkserver, None before it has started; from a private attribute of multiprocessing."""
    number: int | None = getattr(forkserver._forkserver, "_forkserver_pid", None)
    return number


def end_strays() -> None:
    """Kill the descendants of workers that have ended: children of the forkserver that are no workers of ours."""
    server = fork_server()
    until = time.monotonic() + _PATIENCE_S
    while server is not None and time.monotonic() < until:
        ours = {process.pid for process in multiprocessing.active_children()}
        strays = [child for child in _children(server) if child not in ours]
        if not strays:
            return
        _kill([*strays, *(process for stray in strays for process in _descendants(stray))])
        time.sleep(_POLL_S)  # until the forkserver has reaped them


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def _descendants(process: int) -> Iterable[int]:
    for child in _children(process):
        yield child
        yield from _descendants(child)


def _children(process: int) -> list[int]:
    """The processes that have this one as their parent."""
    if sys.platform == "linux":  # without a walk over all processes of the machine
        try:
            listed = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
        except OSError:  # ended meanwhile
            return []
        return [int(child) for children in listed for child in children.split()]
    import psutil

    try:
        return [child.pid for child in psutil.Process(process).children()]
    except psutil.Error:
        return []

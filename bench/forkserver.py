"""What workers are started from. It loads torch, which takes seconds, beside whatever its caller goes on to load."""

import multiprocessing
import multiprocessing.forkserver
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext

from bench.interrupt import unheard


def start() -> None:
    """Begin to load, and come back at once. Ctrl-C is for the run to answer, not for what it is loaded by."""
    _preloaded()
    with unheard():
        resource_tracker.ensure_running()  # which would otherwise be started by the next, and end with Ctrl-C unblocked
    with unheard():
        multiprocessing.forkserver.ensure_running()


def context(device: str) -> SpawnContext | ForkServerContext:
    """Of the processes that measure on a device: forked in 0.03 s. CUDA does not survive a fork, so spawned there."""
    return multiprocessing.get_context("spawn") if device.startswith("cuda") else _preloaded()


def _preloaded() -> ForkServerContext:
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["bench.preload"])
    return forking

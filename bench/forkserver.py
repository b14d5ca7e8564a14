"""What workers are started from. It loads torch, which takes seconds, beside whatever its caller goes on to load."""

import multiprocessing
import multiprocessing.forkserver
import signal
from multiprocessing.context import ForkServerContext, SpawnContext


def start() -> None:
    """Begin to load, and come back at once. Ctrl-C is for the run to answer, not for what it is loaded by."""
    _preloaded()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a new process inherits
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def context(device: str) -> SpawnContext | ForkServerContext:
    """Of the processes that measure on a device: forked in 0.03 s. CUDA does not survive a fork, so spawned there."""
    return multiprocessing.get_context("spawn") if device.startswith("cuda") else _preloaded()


def _preloaded() -> ForkServerContext:
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["bench.preload"])
    return forking

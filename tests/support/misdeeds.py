"""What a worker may do wrong, each done to a solution."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Misdeed = Callable[[Tensor], Tensor]  # what is done to a solution


def raises(y: Tensor) -> Tensor:
    raise ValueError("the flux capacitor is empty\nsecond line")


def exits(y: Tensor) -> Tensor:
    os._exit(3)


def exits_politely(y: Tensor) -> Tensor:
    print("out of patience")
    sys.exit(4)


def segfaults(y: Tensor) -> Tensor:
    return y + len(ctypes.string_at(0))


def hangs(y: Tensor) -> Tensor:
    time.sleep(1e6)
    return y


def ignores_sigterm(y: Tensor) -> Tensor:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGTERM)
    print("still here")
    while True:
        pass


def allocates(y: Tensor) -> Tensor:
    held = []
    while True:
        held.append(torch.ones(2**22))


def allocates_objects(y: Tensor) -> Tensor:
    held: list[list[int]] = []
    while True:
        held.append([0] * 2**16)


def gives_nan(y: Tensor) -> Tensor:
    return y * float("nan")


def prints_megabytes(y: Tensor) -> Tensor:
    for _ in range(5):
        os.write(1, b"x" * 2**20)
    print("the end")
    return y


def _forks(leave: Callable[[], None]) -> None:
    """Fork a child that prints its process id and outlives this process unless it is ended."""
    if os.fork() == 0:
        leave()
        print(f"child {os.getpid()};")
        time.sleep(1e6)
        os._exit(0)


def _daemonise() -> None:
    os.setsid()
    if os.fork():
        os._exit(0)


def forks(y: Tensor) -> Tensor:
    for leave in (lambda: None, os.setpgrp, os.setsid, _daemonise):
        _forks(leave)
    time.sleep(0.1)
    return y


def forks_and_exits(y: Tensor) -> Tensor:
    forks(y)
    os._exit(5)


def forks_and_hangs(y: Tensor) -> Tensor:
    forks(y)
    return hangs(y)


MISDEEDS: Sequence[Misdeed] = (
    raises, exits, exits_politely, segfaults, hangs, ignores_sigterm, allocates, allocates_objects, gives_nan,
    prints_megabytes, forks, forks_and_exits, forks_and_hangs,
)  # fmt: skip

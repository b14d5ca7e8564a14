"""The isolated process that prepares and measures one cell."""

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import torch

from bench.accuracy import errors
from bench.backends import BACKENDS
from bench.clock import Clocked, warm_up
from bench.counts import count
from bench.failure import TrialFailure
from bench.memory import peak_bytes
from bench.problems import PROBLEMS
from bench.training import train
from bench.workload import Workload
from node import SolveError
from results.records import Cell, Curve, TrialKind, TrialStatus


@dataclass(frozen=True)
class Outcome:
    """What a worker sends: what it measured, or why it could not."""

    status: TrialStatus = "ok"
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class Sampled:
    """One sample of each clock: name -> (seconds a call, calls)."""

    seconds: dict[str, tuple[float, int]]


def serve(connection: Connection, cell: Cell, kind: TrialKind, timeout_s: float, log: Path) -> None:
    """Measure one cell, send what was found, and end; a timing worker answers one request a sample until told."""
    os.setpgrp()  # a group of its own, so that all that it starts can be ended with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        _redirect_output(log)
    except FileNotFoundError:  # the run was interrupted as it started this process, and has cleared up
        return
    torch.set_num_threads(cell.threads)
    try:
        _alarm(timeout_s)
        if kind == "timing":
            _serve_samples(connection, cell, timeout_s)
        else:
            connection.send(_measure(cell, kind))
    except TrialFailure as failure:
        connection.send(Outcome(failure.status, failure.reason))
    except Exception as error:  # noqa: BLE001  (whatever a measured thing does is a row, not the end of the run)
        connection.send(unexpected(error))


def _measure(cell: Cell, kind: TrialKind) -> Outcome:
    problem = PROBLEMS[cell.problem]
    workload = BACKENDS[cell.backend].prepare(cell, problem)
    if kind == "counts":
        return Outcome(metrics=count(cell, workload))
    if kind == "accuracy":
        return Outcome(metrics=errors(cell, problem, workload))
    if kind == "memory":
        return Outcome(metrics={"peak_bytes": peak_bytes(_main_call(cell, workload), cell.device)})
    metrics, curves = train(cell, workload)
    return Outcome(metrics=metrics, curves=curves)


def _main_call(cell: Cell, workload: Workload) -> Callable[[], object]:
    return workload.forward if cell.gradient == "none" else workload.gradient


def _serve_samples(connection: Connection, cell: Cell, timeout_s: float) -> None:
    workload = BACKENDS[cell.backend].prepare(cell, PROBLEMS[cell.problem])
    clocks: dict[str, Clocked] = {"forward_s": warm_up(workload.forward, cell.device)}
    if cell.gradient != "none":
        clocks["gradient_s"] = warm_up(workload.gradient, cell.device)
    main = clocks.get("gradient_s", clocks["forward_s"])
    connection.send(Outcome(metrics={"first_call_s": main.first_call_s}))
    with contextlib.suppress(EOFError):  # the runner has closed its end: nothing more is wanted
        while True:
            signal.alarm(0)
            connection.recv()
            _alarm(timeout_s)
            connection.send(Sampled({name: (clock.sample(), clock.repeats) for name, clock in clocks.items()}))


def _alarm(timeout_s: float) -> None:
    """End this process a little after the runner would have, should the runner be gone by then."""
    signal.alarm(int(timeout_s) + 5)


def _redirect_output(log: Path) -> None:
    """What a measured thing prints goes to its log, never between the lines of the run's own."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a worker that is killed has written what it printed


def unexpected(error: Exception) -> Outcome:
    """The outcome of a trial that raised what nobody has foreseen."""
    text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    if isinstance(error, SolveError) and error.status is not None:  # of a backward pass
        return Outcome(cast(TrialStatus, error.status.name), text)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return Outcome("out_of_memory", text)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return Outcome("error", f"{text} ({Path(where.filename).name}:{where.lineno})")

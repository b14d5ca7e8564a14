"""The isolated process that prepares and measures one cell."""

import contextlib
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import torch

from bench.backends import BACKENDS
from bench.failure import TrialFailure
from bench.machine.cores import pin
from bench.machine.descendants import adopt
from bench.machine.gpu import readings
from bench.machine.limits import limit_memory
from bench.measures.accuracy import errors
from bench.measures.clock import Clocked, warm_up
from bench.measures.counts import count
from bench.measures.memory import memory
from bench.measures.training import train
from bench.problems import PROBLEMS
from bench.task import Task
from bench.workload import Workload
from node import SolveError
from results.records import Curve, Reference, TrialStatus


@dataclass(frozen=True)
class Outcome:
    """What a worker sends: what it measured, or why it could not."""

    status: TrialStatus = "ok"
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()  # true values that were not known yet


@dataclass(frozen=True)
class Sampled:
    """One sample of each clock: name -> (seconds a call, calls)."""

    seconds: Mapping[str, tuple[float, int]]
    busy_s: float
    readings: Mapping[str, float] = field(default_factory=dict)  # of the device, as metrics


def serve(connection: Connection, task: Task, log: Path) -> None:
    """Do one task, send what was found, and end; a timing worker answers one request a sample until told."""
    os.setpgrp()  # a group of its own, so that all that it starts can be ended with it
    adopt()  # that which leaves the group, too
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _redirect_output(log)
    try:
        _alarm(task.timeout_s)
        _confine(task)
        if task.kind in ("timing", "twin"):
            _serve_samples(connection, task)
        else:
            connection.send(_measure(task))
    except TrialFailure as failure:
        connection.send(Outcome(failure.status, failure.reason))
    except Exception as error:  # noqa: BLE001  (whatever a measured thing does is a row, not the end of the run)
        connection.send(unexpected(error))


def _confine(task: Task) -> None:
    """The cores, threads and memory that the task has."""
    pin(task.cores)
    torch.set_num_threads(task.cell.threads)
    if task.memory_bytes is not None:
        limit_memory(task.memory_bytes)


def _measure(task: Task) -> Outcome:
    start = time.perf_counter()
    found = _found(task, BACKENDS[task.cell.backend].prepare(task.cell, PROBLEMS[task.cell.problem]))
    return replace(found, metrics={**found.metrics, "busy_s": time.perf_counter() - start})


def _found(task: Task, workload: Workload) -> Outcome:
    cell = task.cell
    if task.kind == "counts":
        return Outcome(metrics=count(cell, workload))
    if task.kind == "accuracy":
        metrics, computed = errors(cell, PROBLEMS[cell.problem], workload, task.references)
        return Outcome(metrics=metrics, references=computed)
    if task.kind == "memory":
        return Outcome(metrics=memory(cell, workload))
    metrics, curves = train(cell, workload)
    return Outcome(metrics=metrics, curves=curves)


def _serve_samples(connection: Connection, task: Task) -> None:
    cell, start = task.cell, time.perf_counter()
    workload = BACKENDS[cell.backend].prepare(cell, PROBLEMS[cell.problem])
    clocks: dict[str, Clocked] = {"forward_s": warm_up(workload.forward, cell.device)}
    if cell.gradient != "none":
        clocks["gradient_s"] = warm_up(workload.gradient, cell.device)
    main = clocks.get("gradient_s", clocks["forward_s"])
    metrics = {"first_call_s": main.first_call_s, "busy_s": time.perf_counter() - start}
    connection.send(Outcome(metrics=metrics))
    with contextlib.suppress(EOFError):  # the runner has closed its end: nothing more is wanted
        while True:
            signal.alarm(0)
            connection.recv()
            _alarm(task.timeout_s)
            connection.send(_sampled(clocks, cell.device))


def _sampled(clocks: Mapping[str, Clocked], device: str) -> Sampled:
    start = time.perf_counter()
    seconds = {name: (clock.sample(), clock.repeats) for name, clock in clocks.items()}
    return Sampled(seconds, time.perf_counter() - start, readings(device))


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

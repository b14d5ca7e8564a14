"""The isolated process that prepares and measures one cell."""

import contextlib
import faulthandler
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from bench.backends import BACKENDS
from bench.extensions import load_in_worker
from bench.failure import TrialFailure
from bench.machine.cores import pin
from bench.machine.descendants import adopt
from bench.machine.gpu import readings
from bench.machine.limits import lift_limit, limit_memory
from bench.measures.accuracy import errors
from bench.measures.clock import Clocked, warm_up
from bench.measures.counts import count
from bench.measures.memory import memory
from bench.measures.training import train
from bench.problems import PROBLEMS
from bench.worker.outcome import Hindered, Outcome, Sampled, Started, unexpected
from bench.worker.task import Task
from bench.workload import Workload


def serve(connection: Connection, task: Task, log: Path) -> None:
    """Do one task, send its outcome and end; a timing worker sends a sample for each request until the pipe closes."""
    os.setpgrp()  # a new process group, so that all that the worker starts can be ended with it
    adopt()  # also the processes that leave the group
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        _redirect_output(log)
    except OSError as error:
        connection.send(Started(f"it cannot write its log: {error}"))
        return
    faulthandler.enable()  # the traceback of a segmentation fault goes to the log
    connection.send(Started())
    _alarm(task.timeout_s)
    try:
        _answer(connection, task)
    except TrialFailure as failure:
        connection.send(Outcome(failure.status, failure.reason))
    except Exception as error:  # noqa: BLE001  (whatever measured code raises is a row, not the end of the run)
        connection.send(_as_answer(error, task))


def _answer(connection: Connection, task: Task) -> None:
    """Measure the task with its cores, threads and memory limit, and send what was found."""
    pin(task.cores)
    torch.set_num_threads(task.cell.threads)
    if task.memory_bytes is not None:
        limit_memory(task.memory_bytes)
    if task.kind in ("timing", "twin"):
        _serve_samples(connection, task)
    else:
        found = _measure(task)
        lift_limit()  # the limit is for measuring, not for sending
        connection.send(found)


def _as_answer(error: Exception, task: Task) -> Outcome | Hindered:
    """The answer to send for an unexpected error, whose traceback is written to the log."""
    left = lift_limit()  # otherwise there may be no memory left to report it
    with contextlib.suppress(OSError):  # a full disk
        traceback.print_exception(error)
        sys.stderr.flush()
    return unexpected(error, task.memory_bytes, left)


def _measure(task: Task) -> Outcome:
    load_in_worker(task.use)
    start = time.perf_counter()
    found = _found(task, BACKENDS[task.cell.backend].prepare(task.cell, PROBLEMS[task.cell.problem]))
    return replace(found, metrics={**found.metrics, "busy_s": time.perf_counter() - start})


def _found(task: Task, workload: Workload) -> Outcome:
    cell = task.cell
    if task.kind == "counts":
        return Outcome(metrics=count(cell, workload))
    if task.kind == "accuracy":
        metrics, computed = errors(cell, PROBLEMS[cell.problem], workload, task.true_values)
        return Outcome(metrics=metrics, true_values=computed)
    if task.kind == "memory":
        return Outcome(metrics=memory(cell, workload))
    metrics, curves = train(cell, workload)
    return Outcome(metrics=metrics, curves=curves)


def _serve_samples(connection: Connection, task: Task) -> None:
    load_in_worker(task.use)
    cell, start = task.cell, time.perf_counter()
    workload = BACKENDS[cell.backend].prepare(cell, PROBLEMS[cell.problem])
    clocks: dict[str, Clocked] = {"forward_s": warm_up(workload.forward, cell.device)}
    if cell.gradient != "none":
        clocks["gradient_s"] = warm_up(workload.gradient, cell.device)
    main = clocks.get("gradient_s", clocks["forward_s"])
    metrics = {"first_call_s": main.first_call_s, "busy_s": time.perf_counter() - start}
    connection.send(Outcome(metrics=metrics))
    with contextlib.suppress(EOFError):  # the runner has closed its end: no more samples are wanted
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
    """End this process a little after its timeout, in case the runner, which would end it then, is gone."""
    signal.alarm(int(timeout_s) + 5)


def _redirect_output(log: Path) -> None:
    """Send what measured code prints to the log, so that it does not mix with the run's own lines."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # so that a killed worker's output is complete, in any language
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)

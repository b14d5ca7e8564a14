"""Interrupts by a signal, at the moments at which they could do most harm."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bench.interrupt import Interrupt, deferred
from bench.run.runner import Runner
from results.read.where import Where
from results.schema.tables import lease
from results.store import Store
from results.write.leases import Leases
from tests.support.small_runs import CELL, run, sweep_of

INTERRUPTED_START = """
import multiprocessing.forkserver as forkserver, os, signal
from bench.worker.process import Worker
from bench.worker.task import Task
from results.records import Cell

connect = forkserver.connect_to_new_process
def connect_and_interrupt(descriptors):
    connected = connect(descriptors)
    os.kill(os.getpid(), signal.SIGINT)
    return connected
forkserver.connect_to_new_process = connect_and_interrupt
cell = Cell(problem="spiral", backend="node", solver="dopri5", horizon=0.5, n_outputs=2, rtol=1e-3, atol=1e-5)
try:
    Worker(Task(cell=cell, kind="counts", timeout_s=30.0))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_deferred_signal_arrives_once_when_the_body_is_done(number):
    came = []
    before = signal.signal(number, lambda number, _: came.append(number))
    try:
        with deferred():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            assert came == []
        assert came == [number]
        os.kill(os.getpid(), number)
        assert came == [number, number]
    finally:
        signal.signal(number, before)


def test_a_deferred_interrupt_follows_what_the_body_raised():
    def body() -> None:
        with deferred():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError("of the body")

    with pytest.raises(KeyboardInterrupt) as raised:
        body()
    assert isinstance(raised.value.__context__, ValueError)


def test_a_signal_while_the_signal_handlers_are_set_is_an_interrupt(monkeypatch):
    set_answer = signal.signal

    def set_and_interrupt(number: int, answer: Any) -> Any:
        before = set_answer(number, answer)
        os.kill(os.getpid(), signal.SIGINT)
        return before

    interrupt = Interrupt()
    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", set_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            interrupt.__enter__()
    interrupt.__exit__(None, None, None)


def test_in_another_thread_nothing_is_deferred():
    done = []

    def body() -> None:
        with deferred():
            done.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert done == [True]


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_leaves_rows_that_the_next_run_measures_again(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("bench.run.timing.timed_in_rounds", interrupted)
        assert not run(store, sweep_of(CELL))
    assert statuses(store)["timing"] == "interrupted"
    assert run(store, sweep_of(CELL))
    assert set(statuses(store).values()) == {"ok"}
    assert list(store.runs()["state"]) == ["interrupted", "complete"]


@pytest.mark.parametrize("ended", ["complete", "interrupted"])
def test_a_run_that_has_ended_holds_no_lease(store, monkeypatch, ended):
    if ended == "interrupted":
        monkeypatch.setattr("bench.run.timing.timed_in_rounds", interrupted)
    assert run(store, sweep_of(CELL)) == (ended == "complete")
    with store.database.reading() as connection:
        assert connection.execute(lease.select()).fetchall() == []


@pytest.mark.parametrize("kind", ["counts", "accuracy", "memory", "timing", "twin"])
def test_an_interrupt_while_a_trial_is_written_loses_nothing(store, monkeypatch, kind):
    with monkeypatch.context() as patch:
        patch.setattr(Store, "record", interrupting(Store.record, lambda trial: trial.kind == kind))
        assert not run(store, sweep_of(CELL))
    assert statuses(store)[kind] == "ok"
    assert run(store, sweep_of(CELL))
    assert len(store.trials(Where(cell_key=[CELL.key]), newest=False).query("kind == @kind")) == 1
    assert list(store.runs()["state"]) == ["interrupted", "complete"]


def test_an_interrupt_while_a_run_begins_leaves_no_run_in_the_state_running(store, monkeypatch):
    monkeypatch.setattr(Store, "begin", interrupting(Store.begin, lambda *_: True))
    assert not run(store, sweep_of(CELL))
    assert list(store.runs()["state"]) == ["interrupted"]
    assert statuses(store) == {}


@pytest.mark.parametrize("step", ["take", "release"])
def test_an_interrupt_while_leases_are_written_leaves_no_lease(store, monkeypatch, step):
    written = getattr(Leases, step)
    presses = [os.getpid()]

    def written_and_interrupted(*arguments: Any) -> Any:
        if step == "release" and presses:
            os.kill(presses.pop(), signal.SIGINT)
        answer = written(*arguments)
        if presses:
            os.kill(presses.pop(), signal.SIGINT)
        return answer

    monkeypatch.setattr(Leases, step, written_and_interrupted)
    assert not run(store, sweep_of(CELL))
    assert list(store.runs()["state"]) == ["interrupted"]
    with store.database.reading() as connection:
        assert connection.execute(lease.select()).fetchall() == []


def test_an_interrupt_when_all_is_measured_leaves_a_complete_run(store, monkeypatch):
    monkeypatch.setattr(Runner, "_measure", lambda *_: None)
    monkeypatch.setattr(Runner, "_finish", interrupting(Runner._finish, lambda _: True))
    with pytest.raises(KeyboardInterrupt):
        run(store, sweep_of(CELL))
    assert list(store.runs()["state"]) == ["complete"]


@pytest.mark.parametrize("place", ["bench.run.runner.Runner._measure", "bench.run.timing.timed_in_rounds"])
def test_an_interrupt_in_a_transaction_does_not_block_later_writes(store, monkeypatch, place):
    """The interrupt comes after the transaction has begun and before the block that would end it."""

    def begun_and_interrupted(*_: object, **__: object) -> None:
        transaction = store.database.writing()
        transaction.__enter__()
        raise KeyboardInterrupt

    monkeypatch.setattr(place, begun_and_interrupted)
    assert not run(store, sweep_of(CELL))
    assert list(store.runs()["state"]) == ["interrupted"]
    assert store.spooled.files == ()
    with store.database.reading() as connection:
        assert connection.execute(lease.select()).fetchall() == []


def test_a_second_interrupt_leaves_the_rows_of_the_first(store, monkeypatch):
    monkeypatch.setattr("bench.run.timing.timed_in_rounds", interrupted)
    monkeypatch.setattr(Store, "record", interrupting(Store.record, lambda trial: trial.status == "interrupted"))
    monkeypatch.setattr(Store, "finish", interrupting(Store.finish, lambda _: True))
    assert not run(store, sweep_of(CELL))
    assert [kind for kind, status in statuses(store).items() if status == "interrupted"] == ["timing", "twin"]
    assert list(store.runs()["state"]) == ["interrupted"]


def statuses(store: Store) -> dict[str, str]:
    trials = store.trials(Where(cell_key=[CELL.key]))
    return dict(zip(trials["kind"], trials["status"], strict=True))


def interrupting(write: Callable[..., None], when: Callable[[Any], bool]) -> Callable[..., None]:
    """The method of a store or a runner, with SIGINT sent before it writes and again after."""

    def written(store: Any, run_id: Any, *measured: Any, **how: str) -> None:
        presses = [os.getpid()] if when(*(measured or how.values() or [run_id])) else []
        for pid in presses:
            os.kill(pid, signal.SIGINT)
        write(store, run_id, *measured, **how)
        for pid in presses:
            os.kill(pid, signal.SIGINT)

    return written


@pytest.mark.exhaustive
def test_an_interrupt_while_a_worker_starts_ends_it_silently():
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED_START], capture_output=True, text=True, timeout=120)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("interrupted\n", "", 0)

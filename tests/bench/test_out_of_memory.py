"""A lack of memory has the status out_of_memory, whatever the limit and wherever it happens."""

import errno
import signal
import sys
from dataclasses import replace

import pytest

from bench.run.rounds import timed_in_rounds
from bench.run.run_trial import run_trial
from bench.worker import process
from bench.worker.outcome import Hindered, unexpected
from bench.worker.process import Worker
from bench.worker.task import Task
from results.records import Cell, Trial

WIDE = Cell(
    problem="mlp_64", backend="node", solver="rk4", horizon=1.0, n_outputs=11, dt=0.01, gradient="backprop",
    batch_size=512,
)  # fmt: skip
SPIRAL = Cell(
    problem="spiral", backend="torchdiffeq", solver="dopri5", horizon=1.5, n_outputs=11, rtol=1e-6, atol=1e-8,
    gradient="adjoint",
)  # fmt: skip
TRAINED = Cell(
    problem="spiral_net", backend="node", solver="dopri5", horizon=0.2, n_outputs=10, rtol=1e-3, atol=1e-6,
    gradient="backprop", iterations=3, batch_size=20,
)  # fmt: skip
STIFF = replace(WIDE, solver="kvaerno3", dt=None, rtol=1e-3, atol=1e-3, batch_size=4, gradient="checkpointed")
ENDLESS = replace(SPIRAL, backend="node", solver="euler", rtol=None, atol=None, dt=1e-7, gradient="none")

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")


def measured(cell: Cell, kind, gib: float) -> Trial:
    task = Task(cell=cell, kind=kind, timeout_s=120.0, memory_bytes=int(gib * 2**30))
    return timed_in_rounds([task], 2, lambda _: None)[0] if kind == "timing" else run_trial(task).trial


@pytest.mark.exhaustive
@needs_linux
@pytest.mark.parametrize("gib", [1e-6, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize(
    ("cell", "kind"),
    [(WIDE, "timing"), (SPIRAL, "accuracy"), (SPIRAL, "memory"), (TRAINED, "training"), (STIFF, "counts")],
    ids=["wide", "accuracy", "memory", "training", "stiff"],
)
def test_under_any_limit_a_trial_is_ok_or_out_of_memory_with_advice(cell, kind, gib):
    trial = measured(cell, kind, gib)
    assert trial.status in ("ok", "out_of_memory"), (trial.reason, trial.log_tail)
    if trial.status == "out_of_memory":
        assert "raise memory_gib" in trial.reason
        assert trial.log_tail  # where it happened


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory", "/tmp/x"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("can't start new thread"),
    ],
)
def test_every_error_for_lack_of_memory_is_out_of_memory(error):
    outcome = unexpected(error, 2**20, 2**19)
    assert outcome.status == "out_of_memory"
    assert "raise memory_gib (the worker may take 0.000977 GiB more than it starts with)" in outcome.reason


def test_an_error_raised_from_a_memory_error_is_out_of_memory():
    error = ValueError("this field cannot be differentiated")
    error.__cause__ = MemoryError()
    assert unexpected(error, 2**30, 2**29).status == "out_of_memory"


def test_an_unclear_error_is_a_lack_of_memory_only_near_the_limit():
    assert unexpected(OSError("iostream error"), 2**30, 2**20).status == "out_of_memory"
    assert unexpected(OSError("iostream error"), 2**30, 2**29).status == "error"
    assert unexpected(ValueError("a wrong shape"), 2**30, 2**20).status == "error"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE])
def test_a_full_disk_or_file_table_is_a_failure_of_the_machine(number):
    assert isinstance(unexpected(OSError(number, "no"), None, None), Hindered)


@pytest.mark.parametrize(
    ("kills", "status"), [((3, 4), "out_of_memory"), ((3, 3), "crashed"), ((None, None), "out_of_memory")]
)
def test_a_kill_by_the_kernel_for_lack_of_memory_is_recognised_by_its_count(monkeypatch, kills, status):
    counted = iter(kills)
    monkeypatch.setattr(process, "oom_kills", lambda: next(counted))
    with Worker(Task(cell=ENDLESS, kind="counts", timeout_s=60.0)) as worker:
        worker._process.kill()
        with pytest.raises(process.TrialFailure) as raised:
            worker.outcome()
    assert raised.value.status == status
    assert signal.SIGKILL.name in raised.value.reason

"""Processes that are killed or compete for a database, forked from one process that has loaded the store.

Forking makes fifty processes cheap. `Nursery` starts that one process from a test; it runs this file as a script.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from typing import Any

from results.records import Cell, Curve, Environment, Planned, Run, Sample, Trial
from results.schema import summary
from results.store import Store

HERE = Environment({"cpu": "one"})
CELLS = [
    Cell(problem="cosine", backend="node", solver="euler", horizon=1.0, n_outputs=2, dt=1 / n) for n in range(1, 41)
]
PLAN = [Planned("solvers", cell) for cell in CELLS]
LONG_PLAN = [Planned("solvers", replace(CELLS[0], seed=seed)) for seed in range(400)]
METRICS, SAMPLES = ("error", "nfe_forward", "peak_bytes"), 6
LARGE, POINTS = 3, 12_000  # every third trial has a curve of POINTS points; a few of these fill the write-ahead log


class Nursery:
    """A context manager around a process that forks others on demand; it ends with the context."""

    def __enter__(self) -> Nursery:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def all_at_once(
        self, job: str, calls: list[dict[str, Any]], *, killed_after: float | str | None = None
    ) -> list[str]:
        """The outputs of one process for each call of the job; all start at one moment and have ended.

        They are killed after `killed_after` seconds, or when all have printed that word.
        """
        self._process.stdin.write(json.dumps([job, calls, killed_after]) + "\n")
        self._process.stdin.flush()
        ended = json.loads(self._process.stdout.readline())
        expected = 0 if killed_after is None else -signal.SIGKILL
        for code, output in ended:
            assert code in (0, expected), output
        return [output for _, output in ended]


def a_run(run_id: str) -> Run:
    return Run(id=run_id, sweep_name="small", sweep_text="", environment=HERE, started_at=1.0)


def a_trial(cell: Cell, index: int) -> Trial:
    """A trial all of whose contents follow from its index, so that a test can check that it is complete."""
    points = POINTS if index % LARGE == 0 else 2
    samples = [Sample(round_index, 0, 0.5 + round_index, 3) for round_index in range(SAMPLES)]
    curve = Curve([float(i) for i in range(points)], [[float(i), -1.0] for i in range(points)])
    return Trial(
        cell_key=cell.key,
        kind="timing",
        process_index=index,
        metrics=dict.fromkeys(METRICS, float(index)),
        samples={"forward_s": samples},
        curves={"loss": curve},
    )


def record_until_killed(url: str, name: str) -> None:
    """Record small runs without end and print what has been acknowledged; a kill may hit a run's start or end too."""
    with Store.open(url, create=True) as store:
        for number in range(1_000_000):
            run_id = f"{name}-{number}"
            store.begin(a_run(run_id), PLAN)
            say("begun", run_id)
            for index in range(6):
                store.record(run_id, a_trial(CELLS[index % 2], index))
                say("recorded", run_id, index)
            store.finish(run_id, state="complete")
            say("finished", run_id)


def record(url: str, name: str, trials: int) -> None:
    with Store.open(url, create=True) as store:
        store.begin(a_run(name), PLAN)
        longest_s = 0.0
        for index in range(trials):
            started = time.perf_counter()
            store.record(name, a_trial(CELLS[index % len(CELLS)], 1 + LARGE * index))  # without a long curve
            longest_s = max(longest_s, time.perf_counter() - started)
        assert not store.spooled.files, store.spooled
        say("longest", longest_s)


def begin(url: str, name: str, sweep: str) -> None:
    with Store.open(url, create=True) as store:
        run = replace(a_run(name), sweep_name=sweep)
        store.begin(
            run, LONG_PLAN if int(name[-1]) % 2 else LONG_PLAN[::-1]
        )  # runs begin with the cells in different orders


def record_beside(url: str, first: int, trials: int) -> None:
    """Record into a cell of a run into which other processes record too."""
    with Store.open(url) as store:
        for index in range(first, first + trials):
            store.record("run-0", a_trial(CELLS[0], 1 + LARGE * index))


def record_and_rebuild(url: str, first: int, trials: int) -> None:
    """Record as `record_beside` and rebuild the summary after each trial."""
    for index in range(first, first + trials):
        record_beside(url, index, 1)
        with Store.open(url) as store, store.database.writing() as connection:
            summary.rebuild(connection)


def take_in(url: str) -> None:
    Store.open(url, create=True).__exit__()


def compete(url: str, name: str) -> None:
    """Record every cell that no other process has leased or recorded, one lease at a time, as the runner does."""
    with Store.open(url, create=True) as store:
        run = a_run(name)
        store.begin(run, PLAN)
        leases = store.lease(run, longest_s=10.0)
        for cell in CELLS:
            if leases.take([cell.key]):
                continue
            if not store.standing(HERE.fingerprint, [cell.key], [None]).trials:
                time.sleep(0.005)  # a measurement takes a while, in which other processes ask for the cell
                store.record(name, a_trial(cell, 1))
            leases.release()


def lease(url: str, name: str) -> None:
    """Lease all cells and hold the leases until the process is killed."""
    with Store.open(url, create=True) as store:
        run = a_run(name)
        store.begin(run, PLAN)
        assert store.lease(run, longest_s=10.0).take([cell.key for cell in CELLS]) == []
        say("leased")
        time.sleep(600)


def upgrade(path: str) -> None:
    import results.opening.migration  # noqa: F401  (already loaded before the fork)

    say("started")
    Store.open(path, write=True).__exit__()
    say("upgraded")


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


JOBS = {
    job.__name__: job
    for job in (record_until_killed, record, record_beside, record_and_rebuild, begin, take_in, compete, lease, upgrade)
}


def fork(job: str, arguments: dict[str, Any], gate: tuple[int, int]) -> tuple[int, int]:
    """The process id of the child and the descriptor of the file with its output."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  (it is read when the child has ended)
    descriptor = os.dup(file.fileno())
    file.close()
    pid = os.fork()
    if pid:
        return pid, descriptor
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(gate[1])
    os.read(gate[0], 1)  # until the nursery opens the gate
    try:
        JOBS[job](**arguments)
    except BaseException:  # noqa: BLE001  (a child never returns into the loop of `serve`)
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def wait_for(moment: float | str, descriptors: list[int]) -> None:
    if isinstance(moment, float):
        return time.sleep(moment)
    while not all(moment.encode() in os.pread(descriptor, 10_000, 0) for descriptor in descriptors):
        time.sleep(0.01)
    return None


def serve() -> None:
    import results.opening.migration  # noqa: F401  (Alembic, before the fork)

    for line in sys.stdin:
        job, calls, killed_after = json.loads(line)
        gate = os.pipe()
        children = [fork(job, arguments, gate) for arguments in calls]
        os.close(gate[1])
        if killed_after is not None:
            wait_for(killed_after, [descriptor for _, descriptor in children])
            for pid, _ in children:
                os.kill(pid, signal.SIGKILL)
        ended = []
        for pid, descriptor in children:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            with os.fdopen(descriptor, "rb") as output:
                output.seek(0)
                ended.append((code, output.read().decode()))
        os.close(gate[0])
        print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    serve()
